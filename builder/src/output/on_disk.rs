//! A root filesystem on a disk, and what starts a machine that has it there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::stage::{self, StageError};
use crate::tree::Tree;

use super::gpt::{self, Guid};
use super::mbr::SECTOR;
use super::partition::Partition;
use super::settings::{FileSystem, Root};
use super::{Job, Machine, OutputError, cpio, erofs, initrd, shared, squashfs};

const MIB: u64 = 1 << 20;
/// What the partition is called; tools show it.
const LABEL: &str = "lkb root";
const COPY: usize = 1 << 20;

/// What a boot loader starts.
#[derive(Debug)]
pub(super) struct Boot {
    pub(super) initrd: PathBuf,
    pub(super) cmdline: String,
    /// What a disk has beside them.
    pub(super) root: Option<RootImage>,
}

/// A root filesystem as a file.
#[derive(Debug, Clone)]
pub(super) struct RootImage {
    pub(super) path: PathBuf,
    len: u64,
    /// The partition's, made from the content.
    id: Guid,
}

impl Boot {
    /// A machine that has all in its initrd.
    pub(super) fn in_memory(job: &Job<'_>) -> Result<Self, OutputError> {
        Ok(Self { initrd: job.initrd()?.to_owned(), cmdline: job.machine.cmdline.clone(), root: None })
    }

    /// A machine on a disk with partitions, as the job's settings and the kernel want it.
    pub(super) fn from_disk(format: &'static str, job: &Job<'_>) -> Result<Self, OutputError> {
        let file_system = match job.settings.root {
            Some(Root::Initrd) => return Self::in_memory(job),
            Some(Root::Partition(file_system)) => file_system,
            None if is_built_in(format, job, FileSystem::Squashfs)? => FileSystem::Squashfs,
            None => return Self::in_memory(job),
        };
        let root = job.root(file_system)?;
        let place = format!("PARTUUID={}", root.id);
        Ok(Self { root: Some(root), ..Self::of_root(format, job, file_system, &place)? })
    }

    /// A machine that finds its root at `place`, in the words of the kernel's `root=`.
    pub(super) fn of_root(
        format: &'static str,
        job: &Job<'_>,
        file_system: FileSystem,
        place: &str,
    ) -> Result<Self, OutputError> {
        let mut cmdline = job.machine.cmdline.clone();
        if !cmdline.is_empty() {
            cmdline.push(' ');
        }
        cmdline += &format!("root={place} rootfstype={} ro", file_system.name());
        let initrd = if is_built_in(format, job, file_system)? {
            // Disks are found while the kernel starts other things.
            cmdline += " rootwait";
            job.empty_initrd()?
        } else {
            job.first_stage(format, file_system)?
        };
        Ok(Self { initrd, cmdline, root: None })
    }
}

fn is_built_in(format: &'static str, job: &Job<'_>, file_system: FileSystem) -> Result<bool, OutputError> {
    stage::is_built_in(&job.machine.root, file_system.name()).map_err(unfit(format))
}

fn unfit(format: &'static str) -> impl FnOnce(StageError) -> OutputError {
    move |source| OutputError::Disk { format, source: Box::new(source) }
}

impl RootImage {
    /// Writes the machine's root over `file`, which is at `path`.
    pub(super) fn write(
        machine: &Machine,
        file_system: FileSystem,
        file: &mut File,
        path: PathBuf,
    ) -> Result<Self, OutputError> {
        let tree = shared::share(&machine.root)?;
        let (id, len) = match file_system {
            FileSystem::Squashfs => squashfs::write(&tree, file, &path)?,
            FileSystem::Erofs => erofs::write(&tree, file, &path)?,
        };
        Ok(Self { path, len, id })
    }

    /// Bytes of its partition: whole mebibytes.
    pub(super) fn partition_len(&self) -> u64 {
        self.len.next_multiple_of(MIB)
    }

    /// Its partition, from the byte `start` of a disk on.
    pub(super) fn partition(&self, start: u64) -> gpt::Partition<'static> {
        let (first, sectors) = (start / SECTOR, self.partition_len() / SECTOR);
        gpt::Partition { kind: gpt::LINUX, id: self.id, first, sectors, name: LABEL }
    }

    /// Copies it to the byte `start` of a disk whose bytes there are zeros.
    pub(super) fn copy_to(&self, disk: &mut File, start: u64) -> io::Result<()> {
        let mut from = File::open(&self.path)?;
        let partition = Partition::new(disk, start, self.partition_len());
        let mut to = BufWriter::with_capacity(COPY, partition);
        io::copy(&mut from, &mut to)?;
        to.flush()
    }
}

/// Bytes that the partition of a root takes, if there is one.
pub(super) fn partition_len(root: Option<&RootImage>) -> u64 {
    root.map_or(0, RootImage::partition_len)
}

/// Writes the initrd of the first stage.
pub(super) fn write_first_stage(
    format: &'static str,
    job: &Job<'_>,
    file_system: FileSystem,
    out: &mut dyn Write,
) -> Result<(), OutputError> {
    let modules = [&stage::DISKS[..], &[file_system.name()]].concat();
    let root = stage::first_stage(&job.machine.root, &modules).map_err(unfit(format))?;
    initrd::write(&beside(job.machine, root), job.compression()?, job.cache, out).map(drop)
}

/// Writes an initrd without files, for kernels that mount the root by themselves: microcode, if there is any.
pub(super) fn write_empty(job: &Job<'_>, out: &mut dyn Write, path: &Path) -> Result<(), OutputError> {
    initrd::write_microcode(job.machine, out)?;
    cpio::trailer(out).map_err(OutputError::io("write", path))
}

/// A machine with another root, and no more than an initrd needs.
fn beside(machine: &Machine, root: Tree) -> Machine {
    Machine {
        ucode: machine.ucode.clone(),
        boot: std::sync::Arc::clone(&machine.boot),
        root,
        ..Machine::default()
    }
}
