//! A disk that BIOS machines boot: MBR, GRUB behind it, one active FAT partition with kernel and initrd.
//!
//! | sectors | content |
//! |---|---|
//! | 0 | GRUB's boot code, the partition table |
//! | 1.. | GRUB's core image with the command line in it |
//! | 2048.. | FAT: `kernel`, `initrd.img` |
//!
//! The same content makes the same bytes. Only what is not zero takes room in the file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use thiserror::Error;

use super::bzimage::{self, BzImageError};
use super::fat::{self, FatError, Volume};
use super::grub::{self, GrubError, LinuxEntry, Place};
use super::mbr::{self, SECTOR};
use super::partition::Partition;

const FIRST_SECTOR: u32 = 2048;
const PARTITION_START: u64 = FIRST_SECTOR as u64 * SECTOR;
const KERNEL: &str = "kernel";
const INITRD: &str = "initrd.img";

const DISK_SIGNATURE: u32 = 0x4C4B_0001;
const IDENTITY: fat::Identity =
    fat::Identity { label: *b"LKB BOOT   ", serial: 0x4C4B_0002, hidden_sectors: FIRST_SECTOR };

/// A file's content and its exact length.
pub struct Part<'a> {
    /// Where it is read from.
    pub content: &'a mut dyn Read,
    /// Its length in bytes.
    pub len: u64,
}

impl std::fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("len", &self.len).finish_non_exhaustive()
    }
}

/// What the disk boots.
#[derive(Debug)]
pub struct BootParts<'a> {
    /// An x86 bzImage.
    pub kernel: Part<'a>,
    /// Whatever the kernel unpacks: cpio archives, compressed or not.
    pub initrd: Part<'a>,
    /// The command line, as the kernel is to see it.
    pub cmdline: &'a str,
}

/// Why the disk could not be written.
#[derive(Debug, Error)]
pub enum BiosDiskError {
    /// The content is larger than the disk.
    #[error(
        "kernel and initrd need a disk of {} MiB, and {} MiB were asked for: use --size {}M or more",
        .needed.div_ceil(1 << 20), .size >> 20, .needed.div_ceil(1 << 20)
    )]
    TooSmall {
        /// The smallest disk that holds the content, in bytes.
        needed: u64,
        /// The size that was asked for, in bytes.
        size: u64,
    },
    /// The kernel cannot be booted by a BIOS.
    #[error(transparent)]
    Kernel(#[from] BzImageError),
    /// GRUB could not be put together.
    #[error(transparent)]
    Grub(#[from] GrubError),
    /// The file system could not be written.
    #[error(transparent)]
    Fat(#[from] FatError),
    /// The kernel could not be read.
    #[error("cannot read the kernel")]
    ReadKernel(#[source] io::Error),
    /// The disk image could not be written.
    #[error("cannot write the disk image")]
    Write(#[source] io::Error),
}

/// Writes the disk over `out`, whose former content is lost, and returns its size in bytes.
///
/// With a `size` the disk has that many bytes, rounded down to whole sectors; without, it is as small as its content
/// allows. GRUB's files are read from `grub_dir` ([`grub::directory`]).
///
/// # Errors
/// See [`BiosDiskError`]. `out` is then of no use.
pub fn write(
    out: &mut File,
    parts: BootParts<'_>,
    size: Option<u64>,
    grub_dir: &Path,
) -> Result<u64, BiosDiskError> {
    let needed = PARTITION_START + fat::volume_len(parts.kernel.len.saturating_add(parts.initrd.len));
    let size = match size {
        Some(size) if size < needed => return Err(BiosDiskError::TooSmall { needed, size }),
        Some(size) => size / SECTOR * SECTOR,
        None => needed,
    };
    let partition_len = size - PARTITION_START;
    let geometry = fat::Geometry::of(partition_len)?;

    let mut start = Vec::new();
    let mut kernel = parts.kernel.content;
    Read::take(&mut kernel, bzimage::HEADER_LEN as u64)
        .read_to_end(&mut start)
        .map_err(BiosDiskError::ReadKernel)?;
    let header = bzimage::Header::parse(&start)?;
    let entry = LinuxEntry {
        kernel: "/kernel",
        initrd: "/initrd.img",
        cmdline: parts.cmdline,
        cmdline_limit: header.cmdline_size as usize,
    };
    let code = grub::boot_code(grub_dir, &entry, Place::behind_mbr((PARTITION_START - SECTOR) as usize))?;

    let partition = mbr::Partition {
        kind: geometry.mbr_type(),
        first: FIRST_SECTOR,
        sectors: u32::try_from(partition_len / SECTOR).map_err(|_| FatError::VolumeSize(partition_len))?,
    };
    let first_sector = mbr::sector(&code.mbr, DISK_SIGNATURE, partition);
    reset(out, size, &first_sector, &code.core).map_err(BiosDiskError::Write)?;

    let mut volume = Volume::create(
        Partition::new(out, PARTITION_START, partition_len),
        partition_len,
        geometry,
        IDENTITY,
    )?;
    volume.add(KERNEL, &mut start.chain(kernel), parts.kernel.len)?;
    volume.add(INITRD, parts.initrd.content, parts.initrd.len)?;
    volume.finish()?;
    Ok(size)
}

/// Makes `out` a hole of `size` bytes with the boot code at its start.
fn reset(out: &mut File, size: u64, first_sector: &[u8], core: &[u8]) -> io::Result<()> {
    out.set_len(0)?;
    out.set_len(size)?;
    out.seek(SeekFrom::Start(0))?;
    out.write_all(first_sector)?;
    out.write_all(core)
}

#[cfg(test)]
mod tests {
    use super::super::qcow2;
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn kernel() -> Vec<u8> {
        let mut kernel = bzimage::header_for_tests();
        kernel.extend((0..3_000_000_u32).flat_map(u32::to_le_bytes));
        kernel
    }

    fn write_disk(size: Option<u64>, cmdline: &str) -> Result<File, BiosDiskError> {
        let (kernel, initrd) = (kernel(), vec![0x5A; 5_000_000]);
        let mut out = tempfile::tempfile().unwrap();
        let parts = BootParts {
            kernel: Part { content: &mut kernel.as_slice(), len: kernel.len() as u64 },
            initrd: Part { content: &mut initrd.as_slice(), len: initrd.len() as u64 },
            cmdline,
        };
        write(&mut out, parts, size, Path::new(grub::DEFAULT_DIR)).map(|_| out)
    }

    fn bytes(file: &mut File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_files_are_on_the_active_partition() {
        let mut disk = write_disk(None, "console=ttyS0").unwrap();
        let image = bytes(&mut disk);
        assert_eq!(image[446], 0x80);
        assert_eq!(image[450], 0x0E);
        let start = u32::from_le_bytes(image[454..458].try_into().unwrap()) as usize * 512;
        let sectors = u32::from_le_bytes(image[458..462].try_into().unwrap()) as usize;
        assert_eq!(start + sectors * 512, image.len());

        let partition = io::Cursor::new(image[start..].to_vec());
        let files = fatfs::FileSystem::new(partition, fatfs::FsOptions::new()).unwrap();
        let read = |name: &str| {
            let mut content = Vec::new();
            files.root_dir().open_file(name).unwrap().read_to_end(&mut content).unwrap();
            content
        };
        assert!(read(KERNEL) == kernel());
        assert!(read(INITRD) == vec![0x5A; 5_000_000]);
    }

    #[test]
    fn without_a_size_the_disk_is_little_larger_than_its_content() {
        let disk = write_disk(None, "").unwrap();
        assert!(disk.metadata().unwrap().len() <= (17 << 20) + (4 << 20));
    }

    #[test]
    fn a_large_disk_takes_no_more_room_than_its_content() {
        let disk = write_disk(Some(1 << 30), "").unwrap();
        let meta = disk.metadata().unwrap();
        assert_eq!(meta.len(), 1 << 30);
        assert!(meta.blocks() * 512 < 20 << 20, "{} bytes are allocated", meta.blocks() * 512);
    }

    #[test]
    fn two_writes_are_equal() {
        for size in [None, Some(600 << 20)] {
            let [one, two] = [(); 2].map(|()| {
                let mut image = tempfile::tempfile().unwrap();
                qcow2::write(&mut write_disk(size, "a=b").unwrap(), &mut image).unwrap();
                bytes(&mut image)
            });
            assert!(one == two);
        }
    }

    #[test]
    fn a_disk_that_is_too_small_says_what_is_needed() {
        let error = write_disk(Some(10 << 20), "").unwrap_err().to_string();
        assert!(
            error.contains("19 MiB") && error.contains("10 MiB") && error.contains("--size 19M"),
            "{error}"
        );
        assert!(write_disk(Some(19 << 20), "").is_ok());
    }

    #[test]
    fn a_kernel_for_another_machine_is_refused() {
        let mut out = tempfile::tempfile().unwrap();
        let parts = BootParts {
            kernel: Part { content: &mut [0_u8; 5000].as_slice(), len: 5000 },
            initrd: Part { content: &mut io::empty(), len: 0 },
            cmdline: "",
        };
        let error = write(&mut out, parts, None, Path::new(grub::DEFAULT_DIR)).unwrap_err();
        assert!(matches!(error, BiosDiskError::Kernel(BzImageError::NoHeader)), "{error}");
    }
}
