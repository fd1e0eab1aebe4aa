//! A disk that BIOS machines boot, with the root filesystem in a partition of its own.
//!
//! | sectors | content |
//! |---|---|
//! | 0..34 | GRUB's boot code in a protective MBR, GPT |
//! | 34..2048 | GRUB's core image, in a partition of its own |
//! | 2048.. | FAT32: `kernel`, `initrd.img` |
//! | then | the root filesystem, and room |
//! | the last 33 | GPT again |
//!
//! GRUB has the sectors of kernel and initrd in their partition, as on `raw-hybrid`: it needs to know no file system.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::bios_disk::{BiosDiskError, BootParts};
use super::bzimage;
use super::fat::{self, Geometry, Volume};
use super::fat32::Layout;
use super::gpt::{self, BIOS_BOOT, Guid};
use super::grub::{self, LinuxEntry, Place};
use super::mbr::SECTOR;
use super::on_disk::RootImage;
use super::partition::Partition;

const MIB: u64 = 1 << 20;
const FIRST_SECTOR: u32 = 2048;
const START: u64 = FIRST_SECTOR as u64 * SECTOR;
/// Room for the second GPT; a whole mebibyte, so that the disk is whole mebibytes.
const TAIL: u64 = MIB;
const KERNEL: &str = "kernel";
const INITRD: &str = "initrd.img";
/// The same for all: the same content is the same bytes.
const DISK: Guid = Guid::of(0x4C4B_0002, 0x4C4B, 0x8001, 0x8000_4C4B_0000_0001);
const BOOT: Guid = Guid::of(0x4C4B_0002, 0x4C4B, 0x8001, 0x8000_4C4B_0000_0002);
const CORE: Guid = Guid::of(0x4C4B_0002, 0x4C4B, 0x8001, 0x8000_4C4B_0000_0003);
const IDENTITY: fat::Identity =
    fat::Identity { label: *b"LKB BOOT   ", serial: 0x4C4B_0004, hidden_sectors: FIRST_SECTOR };

/// Writes the disk over `out`, whose former content is lost, and returns its size in bytes.
///
/// With a `size` the disk has that many bytes, rounded down to whole mebibytes, and what is left of them belongs to nobody;
/// without, it is as small as its content allows. GRUB's files are read from `grub_dir` ([`grub::directory`]).
///
/// # Errors
/// See [`BiosDiskError`]. `out` is then of no use.
pub(super) fn write(
    out: &mut File,
    parts: BootParts<'_>,
    root: &RootImage,
    size: Option<u64>,
    grub_dir: &Path,
) -> Result<u64, BiosDiskError> {
    let (kernel_len, initrd_len) = (parts.kernel.len, parts.initrd.len);
    let len = fat::fat32_len(kernel_len.saturating_add(initrd_len));
    let needed = START + len + root.partitions_len() + TAIL;
    let size = match size {
        Some(size) if size < needed => return Err(BiosDiskError::TooSmall { needed, size }),
        Some(size) => size / MIB * MIB,
        None => needed,
    };
    out.set_len(0).and_then(|()| out.set_len(size)).map_err(BiosDiskError::Write)?;
    let core = gpt::Partition {
        kind: BIOS_BOOT,
        id: CORE,
        first: gpt::BEFORE,
        sectors: u64::from(FIRST_SECTOR) - gpt::BEFORE,
        name: "BIOS boot",
    };
    let room = usize::try_from(core.sectors * SECTOR).unwrap_or(0);
    let (first, sectors) = (FIRST_SECTOR.into(), len / SECTOR);
    let boot = gpt::Partition { kind: gpt::LINUX, id: BOOT, first, sectors, name: "lkb boot" };
    let partitions = [vec![core, boot], root.partitions(START + len)].concat();
    gpt::write(out, size, DISK, &partitions).map_err(BiosDiskError::Write)?;
    root.copy_to(out, START + len).map_err(BiosDiskError::Write)?;

    let mut start = Vec::new();
    let mut kernel = parts.kernel.content;
    Read::take(&mut kernel, bzimage::HEADER_LEN as u64)
        .read_to_end(&mut start)
        .map_err(BiosDiskError::ReadKernel)?;
    let header = bzimage::Header::parse(&start)?;
    let mut volume = Volume::create(Partition::new(out, START, len), len, Geometry::fat32(len)?, IDENTITY)?;
    volume.add(KERNEL, &mut start.chain(kernel), kernel_len)?;
    volume.add(INITRD, parts.initrd.content, initrd_len)?;
    volume.finish()?;
    let mut partition = Partition::new(out, START, len);
    let layout = Layout::read(&mut partition).map_err(BiosDiskError::Write)?;
    let mut sectors = |name: &str, len: u64| {
        let at = layout.start_of(&mut partition, &name.to_ascii_uppercase()).map_err(BiosDiskError::Write)?;
        Ok::<_, BiosDiskError>(format!("{}+{}", at / SECTOR, len.div_ceil(SECTOR)))
    };
    let (kernel, initrd) = (sectors(KERNEL, kernel_len)?, sectors(INITRD, initrd_len)?);
    let entry = LinuxEntry {
        kernel: &kernel,
        initrd: &initrd,
        cmdline: parts.cmdline,
        cmdline_limit: header.cmdline_size as usize,
    };
    let code = grub::boot_code(grub_dir, &entry, Place::in_gpt(gpt::BEFORE, room))?;
    for (at, bytes) in [(0, &code.mbr[..]), (gpt::BEFORE * SECTOR, &code.core)] {
        out.seek(SeekFrom::Start(at)).and_then(|_| out.write_all(bytes)).map_err(BiosDiskError::Write)?;
    }
    Ok(size)
}
