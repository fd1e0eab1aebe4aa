//! A root filesystem on a disk, and what starts a machine that has it there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::stage::{self, StageError};
use crate::tree::Tree;

use super::discoverable;
use super::gpt::{self, Guid};
use super::mbr::SECTOR;
use super::partition::Partition;
use super::settings::{FileSystem, Root};
use super::verity::{self, HashTree};
use super::{Job, Machine, OutputError, cpio, erofs, initrd, shared, squashfs};

const MIB: u64 = 1 << 20;
/// What the partitions are called; tools show it.
const LABEL: &str = "lkb root";
const TREE_LABEL: &str = "lkb root verity";
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
    kind: Guid,
    tree: Option<TreeImage>,
}

/// Its hash tree as a file.
#[derive(Debug, Clone)]
struct TreeImage {
    path: PathBuf,
    tree: HashTree,
    id: Guid,
    kind: Guid,
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
        let mut boot = Self::of_root(format, job, file_system, &place)?;
        if let Some(image) = &root.tree {
            boot.cmdline += &format!(" roothash={}", image.tree.root_hash_in_hex());
        }
        boot.root = Some(root);
        Ok(boot)
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
        // A kernel that mounts the root by itself does not check it.
        let initrd = if !job.settings.verity && is_built_in(format, job, file_system)? {
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
        Ok(Self { path, len, id, kind: gpt::LINUX, tree: None })
    }

    /// Writes the hash tree of it over `file`, which is at `path`, and takes the names that go with that.
    pub(super) fn add_tree(
        &mut self,
        machine: &Machine,
        file: &mut File,
        path: PathBuf,
    ) -> Result<(), OutputError> {
        let mut data = File::open(&self.path).map_err(OutputError::io("read", &self.path))?;
        let tree = verity::write(&mut data, self.len, &self.id, file)
            .map_err(OutputError::io("write the hash tree", &path))?;
        let types = discoverable::types_for(machine.kernel.as_ref())
            .map_err(OutputError::io("read", Path::new("the kernel")))?;
        let [root, id] = tree.guids();
        (self.id, self.kind) = (root, types.root);
        self.tree = Some(TreeImage { path, tree, id, kind: types.tree });
        Ok(())
    }

    /// Bytes of its partition, and of that of its hash tree: whole mebibytes.
    pub(super) fn partitions_len(&self) -> u64 {
        self.parts().map(|part| part.len()).sum()
    }

    /// Its partition, from the byte `start` of a disk on, and that of its hash tree.
    pub(super) fn partitions(&self, start: u64) -> Vec<gpt::Partition<'static>> {
        let partition = |(start, part): (u64, Part<'_>)| gpt::Partition {
            kind: part.kind,
            id: part.id,
            first: start / SECTOR,
            sectors: part.len() / SECTOR,
            name: part.name,
        };
        self.placed(start).map(partition).collect()
    }

    /// Copies both to the byte `start` of a disk whose bytes there are zeros.
    pub(super) fn copy_to(&self, disk: &mut File, start: u64) -> io::Result<()> {
        self.placed(start).try_for_each(|(start, part)| {
            let mut from = File::open(part.path)?;
            let mut to = BufWriter::with_capacity(COPY, Partition::new(disk, start, part.len()));
            io::copy(&mut from, &mut to)?;
            to.flush()
        })
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let root = Part { path: &self.path, bytes: self.len, id: self.id, kind: self.kind, name: LABEL };
        let tree = self.tree.as_ref().map(|image| Part {
            path: &image.path,
            bytes: image.tree.len,
            id: image.id,
            kind: image.kind,
            name: TREE_LABEL,
        });
        [root].into_iter().chain(tree)
    }

    /// The parts, one behind the other from the byte `start` on.
    fn placed(&self, mut start: u64) -> impl Iterator<Item = (u64, Part<'_>)> {
        self.parts().map(move |part| {
            let place = start;
            start += part.len();
            (place, part)
        })
    }
}

/// A partition and the file that goes into it.
struct Part<'a> {
    path: &'a Path,
    bytes: u64,
    id: Guid,
    kind: Guid,
    name: &'static str,
}

impl Part<'_> {
    /// Of the partition, in bytes.
    fn len(&self) -> u64 {
        self.bytes.next_multiple_of(MIB)
    }
}

/// Writes the initrd of the first stage.
pub(super) fn write_first_stage(
    format: &'static str,
    job: &Job<'_>,
    file_system: FileSystem,
    out: &mut dyn Write,
) -> Result<(), OutputError> {
    let mut modules = [&stage::DISKS[..], &[file_system.name()]].concat();
    if job.settings.verity {
        stage::has_verity(&job.machine.root).map_err(unfit(format))?;
        modules.extend(stage::VERITY);
    }
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
