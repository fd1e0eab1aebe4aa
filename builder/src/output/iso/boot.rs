//! An image that machines boot: as a CD, and as the disk or the USB stick that it is copied to.
//!
//! | bytes | content |
//! |---|---|
//! | 0..440 | with BIOS: GRUB's code for disks |
//! | 440..17408 | GPT with the EFI system partition; without EFI, an MBR with an active partition |
//! | 32768.. | ISO 9660, as `layout.rs` has it; its last files are those of the table below |
//! | the last 17408 | GPT again |
//!
//! | file | content |
//! |---|---|
//! | `boot/boot.cat` | the boot catalogue |
//! | `boot/bios.img` | with BIOS: GRUB, told which sectors to load |
//! | `boot/kernel`, `boot/initrd.img` | without EFI |
//! | `boot/efi.img` | with EFI: the system partition, with a program that has kernel and initrd; GRUB reads them out of it |
//!
//! Neither firmware is told a device: GRUB reads from what it was loaded from, and init finds the root by its UUID.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use super::layout::{Later, Layout, Place};
use super::volume::{Identity, Volume};
use super::{IsoError, SECTOR, el_torito};
use crate::output::bzimage::{self, Header};
use crate::output::efi::{self, Sections, SystemPartition};
use crate::output::gpt::{self, Guid};
use crate::output::grub::{self, LinuxEntry};
use crate::output::on_disk::Boot;
use crate::output::{Job, Machine, OutputError, fat, mbr};
use crate::tree::{Node, Tree};

const MIB: u64 = 1 << 20;
/// Sectors of ISO 9660 in a mebibyte.
const PER_MIB: u32 = (MIB / SECTOR) as u32;
/// Sectors of a disk in one of ISO 9660.
const DISK_SECTORS: u64 = SECTOR / mbr::SECTOR;
/// Room for GRUB; its core image has about 60 KB.
const BIOS_ROOM: u64 = 256 << 10;
/// The same for all images, as on our disks.
const DISK: Guid = Guid::of(0x4C4B_0001, 0x4C4B, 0x8001, 0x8000_4C4B_0000_0011);
const SYSTEM_PARTITION: Guid = Guid::of(0x4C4B_0001, 0x4C4B, 0x8001, 0x8000_4C4B_0000_0012);
const DISK_SIGNATURE: u32 = 0x4C4B_0011;
/// What some firmware wants to see before it boots a disk: an active partition. Its type is one that systems leave alone; it
/// begins behind the volume descriptors, so that it is not taken for another file system of the same name.
const ACTIVE: (u8, u32) = (0x17, 256);

/// Which firmware boots an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firmware {
    /// That of PCs before 2010, and of most virtual machines.
    pub bios: bool,
    /// UEFI.
    pub efi: bool,
}

/// Writes `tree`, and what boots `boot`, over `out`.
pub(super) fn write(
    format: &'static str,
    out: &mut File,
    mut tree: Tree,
    identity: &Identity,
    boot: &Job<'_>,
    firmware: Firmware,
) -> Result<(), OutputError> {
    let failed = |source: IsoError| OutputError::Disk { format, source: Box::new(source) };
    let payload = Payload::of(format, boot, firmware)?;
    let mut later = payload.files(firmware);
    for file in &mut later {
        let node = Node::file(&b""[..], 0o644, &boot.machine.boot);
        file.path = tree.insert(&file.path, node).map_err(|error| failed(error.into()))?;
    }
    let layout = Layout::of(&tree, &later).map_err(failed)?;
    // Whole mebibytes, with room for the second GPT.
    let tail = (gpt::BEHIND * mbr::SECTOR).div_ceil(SECTOR) as u32;
    let sectors = layout.sectors().checked_add(tail).and_then(|end| end.checked_next_multiple_of(PER_MIB));
    let sectors = sectors.ok_or_else(|| failed(IsoError::TooLarge(super::LARGEST + MIB)))?;

    let mut places = layout.later().iter().copied();
    let mut next =
        || places.next().ok_or_else(|| failed(IsoError::Write(io::ErrorKind::InvalidInput.into())));
    let catalogue = next()?;
    let bios = if firmware.bios { Some(next()?) } else { None };
    let first = next()?;
    let second = if firmware.efi { None } else { Some(next()?) };

    out.set_len(0).and_then(|()| out.rewind()).map_err(|error| failed(IsoError::Write(error)))?;
    let mut buffered = BufWriter::with_capacity(1 << 20, &mut *out);
    let volume = Volume { layout: &layout, identity, boot_catalogue: Some(catalogue.first), sectors };
    volume.write(&mut buffered).map_err(failed)?;
    let flushed = buffered.into_inner().map(drop).map_err(io::IntoInnerError::into_error);
    let size = u64::from(sectors) * SECTOR;
    flushed.and_then(|()| out.set_len(size)).map_err(|error| failed(IsoError::Write(error)))?;

    let efi = firmware.efi.then_some(first);
    put(out, catalogue.start(), &el_torito::catalogue(bios, efi)).map_err(failed)?;
    let cmdline_limit = payload.cmdline_limit;
    let (kernel, initrd) = payload.write(out, first, second).map_err(failed)?;
    partition(out, size, efi).map_err(failed)?;
    if let Some(bios) = bios {
        let cmdline = &boot.machine.cmdline;
        let entry = LinuxEntry { kernel: &kernel, initrd: &initrd, cmdline, cmdline_limit };
        let code = grub::cd_code(&grub::directory(), &entry, bios.first, BIOS_ROOM as usize);
        let code = code.map_err(|error| failed(error.into()))?;
        put(out, 0, &code.mbr).and_then(|()| put(out, bios.start(), &code.image)).map_err(failed)?;
    }
    Ok(())
}

/// Writes the partition table.
fn partition(out: &mut File, size: u64, efi: Option<Place>) -> Result<(), IsoError> {
    let Some(efi) = efi else {
        let (kind, first) = ACTIVE;
        let sectors = u32::try_from(size / mbr::SECTOR).unwrap_or(u32::MAX) - first;
        let sector = mbr::sector(&[0; mbr::CODE], DISK_SIGNATURE, mbr::Partition { kind, first, sectors });
        return put(out, 0, &sector);
    };
    let system = gpt::Partition {
        kind: gpt::EFI_SYSTEM,
        id: SYSTEM_PARTITION,
        first: u64::from(efi.first) * DISK_SECTORS,
        sectors: efi.len / mbr::SECTOR,
        name: "EFI System",
    };
    gpt::write(out, size, DISK, &[system]).map_err(IsoError::Write)
}

fn put(out: &mut File, at: u64, bytes: &[u8]) -> Result<(), IsoError> {
    out.seek(SeekFrom::Start(at)).and_then(|_| out.write_all(bytes)).map_err(IsoError::Write)
}

/// Kernel and initrd, as the firmware wants them.
struct Payload<'a> {
    kind: Kind<'a>,
    /// The longest command line that the kernel takes from a BIOS boot loader.
    cmdline_limit: usize,
}

enum Kind<'a> {
    /// Two files.
    Apart { kernel: Box<dyn Read + 'a>, kernel_len: u64, initrd: File, initrd_len: u64 },
    /// One program, and what firmware calls it.
    Program(efi::Uki<'a>, &'static str),
}

impl<'a> Payload<'a> {
    fn of(format: &'static str, boot: &Job<'a>, firmware: Firmware) -> Result<Self, OutputError> {
        let machine: &'a Machine = boot.machine;
        let failed = |source: IsoError| OutputError::Disk { format, source: Box::new(source) };
        let kernel = machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(format))?;
        let mut cmdline_limit = usize::MAX;
        if firmware.bios {
            let mut start = Vec::new();
            let read = kernel.reader().take(bzimage::HEADER_LEN as u64).read_to_end(&mut start);
            read.map_err(|source| failed(kernel_error(machine, source)))?;
            cmdline_limit =
                Header::parse(&start).map_err(|error| failed(error.into()))?.cmdline_size as usize;
        }
        if firmware.efi {
            let (uki, stub) = efi::uki(format, boot, &Boot::in_memory(boot)?)?;
            return Ok(Self { kind: Kind::Program(uki, stub.boot_name), cmdline_limit });
        }
        let path = boot.initrd()?;
        let initrd = File::open(path).map_err(OutputError::io("read", path))?;
        let initrd_len = initrd.metadata().map_err(OutputError::io("read", path))?.len();
        let kind = Kind::Apart { kernel: kernel.reader(), kernel_len: kernel.len(), initrd, initrd_len };
        Ok(Self { kind, cmdline_limit })
    }

    /// The files of `boot/`.
    fn files(&self, firmware: Firmware) -> Vec<Later> {
        let file =
            |name: &str, len, alignment| Later { path: format!("boot/{name}").into_bytes(), len, alignment };
        let mut files = vec![file("boot.cat", SECTOR, 1)];
        if firmware.bios {
            files.push(file("bios.img", BIOS_ROOM, 1));
        }
        match &self.kind {
            Kind::Apart { kernel_len, initrd_len, .. } => {
                files.extend([file("kernel", *kernel_len, 1), file("initrd.img", *initrd_len, 1)]);
            }
            Kind::Program(uki, _) => files.push(file("efi.img", fat::fat32_len(uki.len()), PER_MIB)),
        }
        files
    }

    /// Writes them where they belong, and says in which sectors of a disk kernel and initrd are.
    fn write(
        self,
        out: &mut File,
        first: Place,
        second: Option<Place>,
    ) -> Result<(String, String), IsoError> {
        match (self.kind, second) {
            (Kind::Program(uki, boot_name), _) => {
                let partition = SystemPartition { start: first.start(), len: first.len };
                let sections = Sections::of(&uki);
                partition.fill(out, uki, boot_name)?;
                // Only BIOS machines, and so x86, need to know; not all of firmware's names can be found.
                let start = if boot_name == "BOOTX64.EFI" { partition.start_of(out, boot_name)? } else { 0 };
                Ok(sections.block_lists(start))
            }
            (Kind::Apart { mut kernel, mut initrd, .. }, second) => {
                let mut copy = |from: &mut dyn Read, to: Place| {
                    out.seek(SeekFrom::Start(to.start()))?;
                    io::copy(from, out)?;
                    let (first, count) = (u64::from(to.first) * DISK_SECTORS, to.len.div_ceil(mbr::SECTOR));
                    Ok(format!("{first}+{count}"))
                };
                let second = second.unwrap_or(first);
                let lists = copy(&mut kernel, first).and_then(|list| Ok((list, copy(&mut initrd, second)?)));
                lists.map_err(IsoError::Write)
            }
        }
    }
}

fn kernel_error(machine: &Machine, source: io::Error) -> IsoError {
    IsoError::Copy { path: "the kernel".into(), origin: machine.boot.to_string(), source }
}
