//! Disk formats that are made from a raw disk.

use std::fs::File;
use std::io;
use std::path::Path;

use thiserror::Error;

use super::{Job, OutputError, raw_bios, raw_efi};

/// Makes the raw disk of a job, of a size in bytes, over a file that is at a path.
type Make = fn(&'static str, &Job<'_>, &mut File, &Path, Option<u64>) -> Result<(), OutputError>;
/// Writes an image over the second file from the raw disk in the first.
type Write = fn(&mut File, &mut File) -> Result<(), ConvertError>;

/// Why a raw disk could not be written in another format.
#[derive(Debug, Error)]
pub enum ConvertError {
    /// The raw disk is larger than the format can say.
    #[error("a disk of {size} bytes is too large: use --size {}G or less", .most >> 30)]
    TooLarge {
        /// The size of the disk in bytes.
        size: u64,
        /// The largest that is possible.
        most: u64,
    },
    /// The raw disk could not be read.
    #[error("cannot read the raw disk image")]
    Read(#[source] io::Error),
    /// The image could not be written.
    #[error("cannot write the disk image")]
    Write(#[source] io::Error),
}

impl ConvertError {
    /// The error to report for a file of `format` that is being written at `path`.
    pub(super) fn of(self, format: &'static str, path: &Path) -> OutputError {
        match self {
            Self::Write(source) => OutputError::io("write", path)(source),
            source => OutputError::Disk { format, source: Box::new(source) },
        }
    }
}

/// The size of a raw disk, when it is `most` at most.
pub(super) fn size_of(raw: &File, most: u64) -> Result<u64, ConvertError> {
    match raw.metadata().map_err(ConvertError::Read)?.len() {
        size if size > most => Err(ConvertError::TooLarge { size, most }),
        size => Ok(size),
    }
}

/// The size that was asked for, rounded up to what the format's readers take: a whole number of `unit` bytes.
pub(super) fn whole(format: &'static str, size: u64, unit: u64) -> Result<u64, OutputError> {
    size.checked_next_multiple_of(unit).ok_or_else(|| OutputError::Unfit {
        format,
        reason: format!("a disk of {size} bytes is too large: use a smaller --size"),
    })
}

/// Makes the BIOS disk of `job` with `size` bytes, and lets `write` make the output `file` from it.
pub(super) fn bios_disk(
    format: &'static str,
    job: &Job<'_>,
    size: u64,
    file: &str,
    write: Write,
) -> Result<(), OutputError> {
    disk(raw_bios::disk, format, job, size, file, write)
}

/// As [`bios_disk`], of the EFI disk.
pub(super) fn efi_disk(
    format: &'static str,
    job: &Job<'_>,
    size: u64,
    file: &str,
    write: Write,
) -> Result<(), OutputError> {
    disk(raw_efi::disk, format, job, size, file, write)
}

fn disk(
    make: Make,
    format: &'static str,
    job: &Job<'_>,
    size: u64,
    file: &str,
    write: Write,
) -> Result<(), OutputError> {
    let mut raw = job.scratch(&format!("{}-{format}", job.name))?;
    let path = raw.path().to_owned();
    make(format, job, raw.file_mut(), &path, Some(size))?;
    let mut out = job.create(file)?;
    let path = out.path().to_owned();
    write(raw.file_mut(), out.file_mut()).map_err(|error| error.of(format, &path))
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;
    use std::fs;
    use std::io::{Seek, SeekFrom, Write};
    use std::process::Command;

    /// What `qemu-img` says; it must succeed.
    pub fn qemu_img(args: &[&str], files: &[&Path]) -> String {
        let output =
            Command::new("qemu-img").args(args).args(files).output().expect("qemu-img of qemu-utils");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "qemu-img {args:?}: {text}");
        text
    }

    /// What QEMU makes of an image in this of its formats.
    pub fn info(format: &str, image: &Path) -> serde_json::Value {
        serde_json::from_str(&qemu_img(&["info", "--output=json", "-f", format], &[image])).unwrap()
    }

    /// Content at offsets.
    pub type Pieces<'a> = &'a [(u64, &'a [u8])];

    /// A sparse disk.
    pub fn disk(path: &Path, size: u64, content: Pieces<'_>) -> File {
        let mut disk = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        disk.set_len(size).unwrap();
        for (offset, bytes) in content {
            disk.seek(SeekFrom::Start(*offset)).unwrap();
            disk.write_all(bytes).unwrap();
        }
        disk
    }

    /// Converts a disk twice and has QEMU, which calls the format `qemu`, read what came.
    pub fn check(
        qemu: &str,
        write: fn(&mut File, &mut File) -> Result<(), ConvertError>,
        size: u64,
        content: Pieces<'_>,
    ) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let [raw_path, path, again] = ["disk", "image", "again"].map(|name| dir.path().join(name));
        let mut raw = disk(&raw_path, size, content);
        // What a file had before is lost.
        fs::write(&again, vec![0xA5; 300_000]).unwrap();
        write(&mut raw, &mut disk(&path, 0, &[])).unwrap();
        write(&mut raw, &mut File::options().read(true).write(true).open(&again).unwrap()).unwrap();
        let image = fs::read(&path).unwrap();
        assert!(image == fs::read(&again).unwrap(), "two writes differ");
        if qemu != "vpc" {
            qemu_img(&["check", "-q", "-f", qemu], &[&path]);
        }
        assert_eq!(info(qemu, &path)["virtual-size"], size, "the size that a machine sees");
        qemu_img(&["compare", "-q", "-f", "raw", "-F", qemu], &[&raw_path, &path]);
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_to_whole_units_and_never_wrap() {
        assert_eq!(whole("x", 1, 1 << 20).unwrap(), 1 << 20);
        assert_eq!(whole("x", 3 << 20, 1 << 20).unwrap(), 3 << 20);
        let error = whole("x", u64::MAX, 1 << 20).unwrap_err().to_string();
        assert!(error.contains("--size"), "{error}");
    }

    #[test]
    fn a_disk_that_is_too_large_says_how_large_it_is_and_may_be() {
        let raw = tempfile::tempfile().unwrap();
        raw.set_len((3 << 30) + 1).unwrap();
        let error = size_of(&raw, 3 << 30).unwrap_err().to_string();
        assert!(error.contains("3221225473 bytes") && error.contains("--size 3G"), "{error}");
        raw.set_len(3 << 30).unwrap();
        assert_eq!(size_of(&raw, 3 << 30).unwrap(), 3 << 30);
    }
}
