//! `vhd`: a disk for Azure and Hyper-V: the raw disk with a footer (the specification's "Fixed Hard Disk Image").

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use super::convert::{self, ConvertError};
use super::sparse::{Chunks, Fingerprint};
use super::vhd_footer::{self, Kind};
use super::{Format, Job, OutputError, raw_bios};

/// `NAME.vhd`, with a disk of whole mebibytes, as Azure wants it.
#[derive(Debug, Clone, Copy)]
pub struct Vhd;

const NAME: &str = "vhd";
/// How much is read at once for the disk's identity.
const CHUNK: usize = 64 << 10;

impl Format for Vhd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.vhd")]
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut out = job.create(&format!("{}.vhd", job.name))?;
        let path = out.path().to_owned();
        let size = convert::whole(NAME, job.settings.size, vhd_footer::UNIT)?;
        raw_bios::disk(NAME, job, out.file_mut(), &path, Some(size))?;
        finish(out.file_mut()).map_err(|error| error.of(NAME, &path))
    }
}

/// Makes the raw disk in `file` a VHD.
fn finish(file: &mut File) -> Result<(), ConvertError> {
    let size = convert::size_of(file, vhd_footer::MAX_DISK)?;
    let mut fingerprint = Fingerprint::of_size(size);
    let mut chunks = Chunks::of(file, size, CHUNK);
    while let Some((number, bytes)) = chunks.advance().map_err(ConvertError::Read)? {
        fingerprint.add(number, bytes);
    }
    let footer = vhd_footer::footer(Kind::Fixed, size, fingerprint);
    file.seek(SeekFrom::Start(size)).and_then(|_| file.write_all(&footer)).map_err(ConvertError::Write)
}

#[cfg(test)]
mod tests {
    use super::super::convert::fixture;
    use super::*;

    /// For comparison with the raw disk.
    fn copy(raw: &mut File, out: &mut File) -> Result<(), ConvertError> {
        raw.rewind().unwrap();
        out.set_len(0).unwrap();
        std::io::copy(raw, out).unwrap();
        out.set_len(raw.metadata().unwrap().len()).unwrap();
        finish(out)
    }

    #[test]
    fn qemu_sees_the_disk_in_its_exact_size() {
        for mebibytes in [1, 3, 33] {
            let size = mebibytes << 20;
            let image = fixture::check("vpc", copy, size, &[(0, b"start"), (size - 3, b"end")]);
            assert_eq!(image.len() as u64, size + 512);
        }
    }

    #[test]
    fn disks_of_equal_size_and_other_content_have_other_identities() {
        let uuid = |content: &[u8]| {
            fixture::check("vpc", copy, 1 << 20, &[(0, content)])[(1 << 20) + 68..][..16].to_vec()
        };
        assert_eq!(uuid(b"a"), uuid(b"a"));
        assert_ne!(uuid(b"a"), uuid(b"b"));
    }

    #[test]
    fn a_disk_beyond_the_reach_of_the_format_is_refused() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(vhd_footer::MAX_DISK + 512).unwrap();
        let error = finish(&mut file).unwrap_err().to_string();
        assert!(error.contains("--size 2040G"), "{error}");
    }
}
