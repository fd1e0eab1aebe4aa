//! A disk that EFI firmware boots: GPT, and a system partition with one program.
//!
//! | sectors | content |
//! |---|---|
//! | 0..34 | protective MBR, GPT |
//! | 34..2048 | where BIOS machines are to boot it too: GRUB, in a partition of its own |
//! | 2048.. | FAT32: `EFI/BOOT/BOOTX64.EFI` |
//! | then | the root filesystem, if it is on the disk, and room |
//! | the last 33 | GPT again |

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use thiserror::Error;

use super::system_partition::SystemPartition;
use super::{Sections, Uki};
use crate::output::fat::{self, FatError};
use crate::output::gpt::{self, EFI_SYSTEM, Guid};
use crate::output::grub::{self, GrubError, LinuxEntry, Place};
use crate::output::mbr::SECTOR;
use crate::output::on_disk::RootImage;

const MIB: u64 = 1 << 20;
const FIRST_SECTOR: u32 = 2048;
const START: u64 = FIRST_SECTOR as u64 * SECTOR;
/// Room for the second GPT; a whole mebibyte, so that the disk is whole mebibytes.
const TAIL: u64 = MIB;
/// The same for all: two such disks in one machine are told apart by their place, and the same content is the same bytes.
const DISK: Guid = Guid::of(0x4C4B_0001, 0x4C4B, 0x8001, 0x8000_4C4B_0000_0001);
const SYSTEM_PARTITION: Guid = Guid::of(0x4C4B_0001, 0x4C4B, 0x8001, 0x8000_4C4B_0000_0002);

const BIOS_BOOT: gpt::Partition<'_> = gpt::Partition {
    kind: gpt::BIOS_BOOT,
    id: Guid::of(0x4C4B_0001, 0x4C4B, 0x8001, 0x8000_4C4B_0000_0003),
    first: gpt::BEFORE,
    sectors: FIRST_SECTOR as u64 - gpt::BEFORE,
    name: "BIOS boot",
};

/// What BIOS machines need.
#[derive(Debug, Clone, Copy)]
pub struct Bios<'a> {
    /// The command line, which GRUB tells the kernel.
    pub cmdline: &'a str,
    /// The longest that this kernel takes, in bytes.
    pub cmdline_limit: usize,
    /// GRUB's files ([`grub::directory`]).
    pub grub: &'a Path,
}

/// Why the disk could not be written.
#[derive(Debug, Error)]
pub enum EfiDiskError {
    /// The content is larger than the disk.
    #[error(
        "what is to be on it needs a disk of {} MiB, and {} MiB were asked for: use --size {}M or more",
        .needed.div_ceil(MIB), .size >> 20, .needed.div_ceil(MIB)
    )]
    TooSmall {
        /// The smallest disk that holds the content, in bytes.
        needed: u64,
        /// The size that was asked for, in bytes.
        size: u64,
    },
    /// The file system could not be written.
    #[error(transparent)]
    Fat(#[from] FatError),
    /// GRUB could not be put together.
    #[error(transparent)]
    Grub(#[from] GrubError),
    /// The disk image could not be written.
    #[error("cannot write the disk image")]
    Write(#[source] io::Error),
}

/// Writes the disk over `out`, whose former content is lost, and returns its size in bytes. `boot_name` is what firmware
/// looks for below `EFI/BOOT`.
///
/// With a `size` the disk has that many bytes, rounded down to whole mebibytes; without, it is as small as its content
/// allows. Where a `root` has a partition of its own, what is left of the disk belongs to nobody; else to the system partition.
///
/// # Errors
/// See [`EfiDiskError`]. `out` is then of no use.
pub(in crate::output) fn write(
    out: &mut File,
    uki: Uki<'_>,
    boot_name: &str,
    size: Option<u64>,
    root: Option<&RootImage>,
) -> Result<u64, EfiDiskError> {
    write_with(out, uki, boot_name, size, root, &[]).map(|(size, _)| size)
}

/// As [`write`], for BIOS machines as well: GRUB reads kernel and initrd out of the program, where they lie in one piece.
///
/// # Errors
/// See [`EfiDiskError`].
pub(in crate::output) fn write_hybrid(
    out: &mut File,
    uki: Uki<'_>,
    boot_name: &str,
    size: Option<u64>,
    root: Option<&RootImage>,
    bios: Bios<'_>,
) -> Result<u64, EfiDiskError> {
    let sections = Sections::of(&uki);
    let (size, system) = write_with(out, uki, boot_name, size, root, &[BIOS_BOOT])?;
    let program = system.start_of(out, boot_name)?;
    let (kernel, initrd) = sections.block_lists(program - START);
    let entry = LinuxEntry {
        kernel: &kernel,
        initrd: &initrd,
        cmdline: bios.cmdline,
        cmdline_limit: bios.cmdline_limit,
    };
    let place = Place::in_gpt(BIOS_BOOT.first, usize::try_from(BIOS_BOOT.sectors * SECTOR).unwrap_or(0));
    let code = grub::boot_code(bios.grub, &entry, place)?;
    let mut put = |at: u64, bytes: &[u8]| {
        out.seek(SeekFrom::Start(at))?;
        out.write_all(bytes)
    };
    put(0, &code.mbr)
        .and_then(|()| put(BIOS_BOOT.first * SECTOR, &code.core))
        .map_err(EfiDiskError::Write)?;
    Ok(size)
}

/// Returns the disk's size, and its system partition.
fn write_with(
    out: &mut File,
    uki: Uki<'_>,
    boot_name: &str,
    size: Option<u64>,
    root: Option<&RootImage>,
    before: &[gpt::Partition<'_>],
) -> Result<(u64, SystemPartition), EfiDiskError> {
    let smallest = fat::fat32_len(uki.len());
    let needed = START + smallest + root.map_or(0, RootImage::partitions_len) + TAIL;
    let size = match size {
        Some(size) if size < needed => return Err(EfiDiskError::TooSmall { needed, size }),
        Some(size) => size / MIB * MIB,
        None => needed,
    };
    let len = if root.is_some() { smallest } else { size - START - TAIL };
    let entry = gpt::Partition {
        kind: EFI_SYSTEM,
        id: SYSTEM_PARTITION,
        first: FIRST_SECTOR.into(),
        sectors: len / SECTOR,
        name: "EFI System",
    };
    out.set_len(0).and_then(|()| out.set_len(size)).map_err(EfiDiskError::Write)?;
    let behind = root.map(|root| root.partitions(START + len)).unwrap_or_default();
    let partitions: Vec<_> = before.iter().cloned().chain([entry]).chain(behind).collect();
    gpt::write(out, size, DISK, &partitions).map_err(EfiDiskError::Write)?;
    if let Some(root) = root {
        root.copy_to(out, START + len).map_err(EfiDiskError::Write)?;
    }
    let system = SystemPartition { start: START, len };
    system.fill(out, uki, boot_name)?;
    Ok((size, system))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::Command;

    use super::super::pe::program_for_tests;
    use super::*;

    fn uki() -> Uki<'static> {
        let mut uki = Uki::new(&program_for_tests(0x8664, 1)).unwrap();
        uki.add(".linux", 9_000_000, Box::new(io::repeat(0x5A).take(9_000_000))).unwrap();
        uki
    }

    fn disk(size: Option<u64>) -> Result<tempfile::NamedTempFile, EfiDiskError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write(file.as_file_mut(), uki(), "BOOTX64.EFI", size, None).map(|_| file)
    }

    fn bytes(disk: &mut tempfile::NamedTempFile) -> Vec<u8> {
        let mut bytes = Vec::new();
        disk.as_file_mut().seek(SeekFrom::Start(0)).unwrap();
        disk.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_program_is_where_firmware_looks_on_a_sound_fat32() {
        let image = bytes(&mut disk(None).unwrap());
        assert_eq!(image.len() as u64 % MIB, 0);
        let partition = image[START as usize..image.len() - TAIL as usize].to_vec();
        let fat = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(fat.path(), &partition).unwrap();
        let checked =
            Command::new("/sbin/fsck.fat").arg("-n").arg(fat.path()).output().expect("running fsck.fat");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));

        let files = fatfs::FileSystem::new(io::Cursor::new(partition), fatfs::FsOptions::new()).unwrap();
        assert_eq!(files.fat_type(), fatfs::FatType::Fat32);
        let mut found = Vec::new();
        files.root_dir().open_file("EFI/BOOT/BOOTX64.EFI").unwrap().read_to_end(&mut found).unwrap();
        let mut expected = Vec::new();
        uki().into_reader().read_to_end(&mut expected).unwrap();
        assert!(found == expected);
    }

    #[test]
    fn two_writes_are_equal() {
        assert!(bytes(&mut disk(None).unwrap()) == bytes(&mut disk(None).unwrap()));
    }

    #[test]
    fn a_disk_has_the_size_that_was_asked_for_or_says_what_is_needed() {
        let large = disk(Some(200 * MIB + 5)).unwrap();
        assert_eq!(large.as_file().metadata().unwrap().len(), 200 * MIB);
        let error = disk(Some(20 * MIB)).unwrap_err().to_string();
        assert!(error.contains("20 MiB") && error.contains("use --size"), "{error}");
    }
}
