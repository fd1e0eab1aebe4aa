//! Makes a partition with a file system on a disk, in the one order in which a power cut does no harm.
//!
//! | step | a power cut after it leaves |
//! | --- | --- |
//! | zero both ends of the disk | a blank disk |
//! | show the kernel the partition (`BLKPG`; nothing is written) | a blank disk |
//! | make the file system in it, flush, check it with `blkid` | a blank disk: both of its ends are still zero |
//! | write the table but for its first sector, flush | an unfinished table, which is recognised as ours |
//! | write the first sector, flush | a finished disk |

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use lk_command::program::{ProgramError, Programs, account};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::content::{self, Content, Found};
use crate::inventory::{self, Disk, InventoryError, Partition};
use crate::kernel;
use crate::mkfs::FsType;
use crate::probe::{self, ProbeError};
use crate::table::{self, EDGE, Identity, Layout, LayoutError, TableKind};
use crate::uevent::{Events, wait_for};

/// How long the kernel may take to show a partition; it is there at once unless the machine is very busy.
const PARTITION_DEADLINE: Duration = Duration::from_secs(10);

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The file system.
    pub fs: FsType,
    /// Its label.
    pub label: Option<&'a str>,
    /// The kind of table; `None` for the one that fits.
    pub table: Option<TableKind>,
    /// Overwrite what is there.
    pub force: bool,
}

/// Why a disk was not formatted.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A step failed.
    #[error("{node}: cannot {step}: {source}")]
    Step {
        /// The device.
        node: String,
        /// What was being done.
        step: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The disk cannot hold a table.
    #[error("{node}: {source}")]
    Layout {
        /// The disk.
        node: String,
        /// Why not.
        source: LayoutError,
    },
    /// It was blank a moment ago.
    #[error("{0}: is no longer blank: somebody else wrote to it; it is left alone")]
    Changed(String),
    /// The kernel does not show the partition.
    #[error(
        "{0}: the kernel shows no partition 1, or /dev has no node for it; is /dev of the machine bound here?"
    )]
    NoPartition(String),
    /// The kernel does not show the partition that the table on the disk describes.
    #[error(
        "{node}: the file system and its {table} partition table are on the disk, but the kernel does not show the partition: is \
         the kernel built to read {table} tables?"
    )]
    NotRead {
        /// The disk.
        node: String,
        /// The kind of table.
        table: &'static str,
    },
    /// The program that makes the file system failed.
    #[error("{node}: {program} failed: {account}")]
    Mkfs {
        /// The partition.
        node: String,
        /// The program.
        program: &'static str,
        /// What it said.
        account: String,
    },
    /// What was made is not what is there.
    #[error("{node}: made {wanted}, but blkid finds {found}: the disk may be broken")]
    Unverified {
        /// The partition.
        node: String,
        /// What was made.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// A device cannot be looked at.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// A program is missing.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// `/sys` cannot be read.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// Device events cannot be waited for.
    #[error("cannot wait for device events: {0}")]
    Events(#[from] io::Error),
}

/// What the steps need from outside.
pub struct Tools<'a> {
    /// Where programs are.
    pub programs: &'a Programs,
    /// Where the kernel lists its devices.
    pub sys_block: &'a Path,
    /// Tells when devices change.
    pub events: &'a mut dyn Events,
    /// Is told each step.
    pub say: &'a dyn Fn(&str),
}

impl std::fmt::Debug for Tools<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tools").field("sys_block", &self.sys_block).finish_non_exhaustive()
    }
}

/// Formats `disk` as `plan` says and returns the new partition.
pub fn make(disk: &Disk, plan: &Plan<'_>, tools: &mut Tools<'_>) -> Result<Partition, MakeError> {
    let node = disk.node();
    let bad_layout = |source| MakeError::Layout { node: node.clone(), source };
    let layout = Layout::of(disk.size, disk.sector).map_err(bad_layout)?;
    let kind = plan.table.unwrap_or_else(|| layout.usual_kind());
    let identity = Identity::from_random(random().map_err(step("/dev/urandom", "read random bytes"))?);
    let writes = table::writes(kind, &layout, &identity).map_err(bad_layout)?;
    // Better before the disk is changed than after.
    tools.programs.find(plan.fs.program())?;

    let _lock = lock(&node)?;
    clear(disk, plan.force, &layout, tools)?;
    let partition = match fill(disk, plan, &layout, tools) {
        Ok(partition) => partition,
        Err(e) => {
            forget_partition(&node, tools.say);
            return Err(e);
        }
    };
    (tools.say)(&format!(
        "{}: {} is whole; writing the {} table",
        partition.node(),
        plan.fs.name(),
        kind.name()
    ));
    commit(&node, &writes, tools.say)?;
    // What is in it was verified before the table was written.
    wait_for_partition(disk, &layout, tools).map_err(|e| match e {
        MakeError::NoPartition(node) => MakeError::NotRead { node, table: kind.name() },
        other => other,
    })
}

/// Keeps other programs that follow the locking convention for block devices off the disk (systemd's
/// `BLOCK_DEVICE_LOCKING`).
fn lock(node: &str) -> Result<Flock<File>, MakeError> {
    let file = File::open(node).map_err(step(node, "open it"))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, e)| step(node, "lock it: another program is at work on it")(e.into()))
}

/// Zeroes both ends of the disk, if it is still what it was taken for, and shows the kernel the partition to
/// be.
fn clear(disk: &Disk, force: bool, layout: &Layout, tools: &Tools<'_>) -> Result<(), MakeError> {
    let node = disk.node();
    if !force {
        // Now that the disk is locked: has another run been here since it was chosen?
        let (first, last) = probe::edges(&node, disk.size)?;
        if matches!(content::decide(disk, &first, &last, Found::Nothing, vec![]), Content::Holds(_)) {
            return Err(MakeError::Changed(node));
        }
    }
    let file = claim(&node)?;
    (tools.say)(&format!("{node}: zeroing the first and the last MiB"));
    zero_ends(&file, disk.size).map_err(step(&node, "zero its ends"))?;
    // Partitions of the table that was there.
    if !disk.partitions.is_empty() {
        kernel::reread_table(&file)
            .map_err(|e| step(&node, "make the kernel forget its old partitions")(e.into()))?;
    }
    kernel::add_partition(&file, layout.start_bytes(), layout.length_bytes())
        .map_err(|e| step(&node, "show the kernel its new partition")(e.into()))
}

/// Makes the file system and sees to it that it is on the disk and whole.
fn fill(
    disk: &Disk,
    plan: &Plan<'_>,
    layout: &Layout,
    tools: &mut Tools<'_>,
) -> Result<Partition, MakeError> {
    let partition = wait_for_partition(disk, layout, tools)?;
    let node = partition.node();
    // Old file systems leave signatures that a new one does not always overwrite, and then blkid sees two.
    zero_ends(&claim(&node)?, partition.size).map_err(step(&node, "zero its ends"))?;
    (tools.say)(&format!("{node}: {}", plan.fs.program()));
    let output = tools.programs.run(plan.fs.program(), plan.fs.arguments(plan.label, &node))?;
    if !output.status.success() {
        return Err(MakeError::Mkfs { node, program: plan.fs.program(), account: account(&output) });
    }
    claim(&node)?.sync_all().map_err(step(&node, "flush the new file system"))?;
    verify(&partition, plan, tools.programs)?;
    Ok(partition)
}

/// Writes the table, each part on the disk before the next begins, and makes the kernel read it.
fn commit(node: &str, writes: &[table::Write], say: &dyn Fn(&str)) -> Result<(), MakeError> {
    let file = claim(node)?;
    for write in writes {
        file.write_all_at(&write.bytes, write.offset)
            .and_then(|()| file.sync_all())
            .map_err(step(node, "write the partition table"))?;
    }
    match kernel::reread_table(&file) {
        Ok(()) => Ok(()),
        // The partition that was shown to it is the same one.
        Err(Errno::EBUSY) => {
            say(&format!("{node}: is busy; the kernel goes on with the partition that it was shown"));
            Ok(())
        }
        Err(e) => Err(step(node, "make the kernel read the partition table")(e.into())),
    }
}

/// Opens a device for writing, for us alone: the kernel refuses when it, or a partition of it, is in use.
fn claim(node: &str) -> Result<File, MakeError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_EXCL.bits())
        .open(node)
        .map_err(step(node, "open it for writing"))
}

fn zero_ends(file: &File, size: u64) -> io::Result<()> {
    let zeros = vec![0; size.min(EDGE) as usize];
    file.write_all_at(&zeros, 0)?;
    file.write_all_at(&zeros, size - zeros.len() as u64)?;
    file.sync_all()
}

/// After a failure: the partition exists only in the kernel's mind, and would keep the disk from being tried
/// again.
fn forget_partition(node: &str, say: &dyn Fn(&str)) {
    let forgotten = File::open(node).and_then(|file| Ok(kernel::delete_partition(&file)?));
    if let Err(e) = forgotten {
        say(&format!("{node}: the kernel keeps the partition that was being made until the next boot: {e}"));
    }
}

fn wait_for_partition(disk: &Disk, layout: &Layout, tools: &mut Tools<'_>) -> Result<Partition, MakeError> {
    let sys_block = tools.sys_block;
    let look = || -> Result<_, MakeError> {
        let disks = inventory::read(sys_block)?;
        Ok(partition_of(&disks, &disk.name, layout).filter(|p| Path::new(&p.node()).exists()))
    };
    wait_for(tools.events, Instant::now() + PARTITION_DEADLINE, look)?
        .ok_or_else(|| MakeError::NoPartition(disk.node()))
}

/// The partition that `layout` puts on the disk `name`.
fn partition_of(disks: &[Disk], name: &str, layout: &Layout) -> Option<Partition> {
    let disk = disks.iter().find(|d| d.name == name)?;
    let ours = |p: &&Partition| p.start == layout.start_bytes() && p.size == layout.length_bytes();
    disk.partitions.iter().find(ours).cloned()
}

fn verify(partition: &Partition, plan: &Plan<'_>, programs: &Programs) -> Result<(), MakeError> {
    let node = partition.node();
    let found = probe::identify(&node, programs)?;
    let good = matches!(&found, Found::One(signature)
        if signature.kind.as_deref() == Some(plan.fs.name()) && signature.label.as_deref() == plan.label);
    match good {
        true => Ok(()),
        false => {
            let labelled = plan.label.map(|l| format!(" labelled {l}")).unwrap_or_default();
            Err(MakeError::Unverified {
                node,
                wanted: format!("{}{labelled}", plan.fs.name()),
                found: found.to_string(),
            })
        }
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn step(node: &str, step: &'static str) -> impl FnOnce(io::Error) -> MakeError {
    let node = node.to_owned();
    move |source| MakeError::Step { node, step, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_is_known_by_its_place_on_the_disk() {
        let layout = Layout::of(64 << 20, 512).unwrap();
        let partition = |name: &str, start, size| Partition {
            name: name.into(),
            number: 1,
            start,
            size,
            holders: vec![],
        };
        let disk = |name: &str, partitions| Disk {
            name: name.into(),
            size: 64 << 20,
            sector: 512,
            removable: false,
            read_only: false,
            hidden: false,
            holders: vec![],
            partitions,
        };
        let disks = [
            disk("vda", vec![partition("vda1", 1 << 20, 62 << 20)]),
            disk("nvme0n1", vec![partition("nvme0n1p1", 1 << 20, 62 << 20)]),
            disk("vdb", vec![partition("vdb1", 1 << 20, 9 << 20)]),
        ];
        let found = |name| partition_of(&disks, name, &layout).map(|p| p.node());
        assert_eq!(found("vda"), Some("/dev/vda1".into()));
        assert_eq!(found("nvme0n1"), Some("/dev/nvme0n1p1".into()));
        assert_eq!((found("vdb"), found("vdc")), (None, None));
    }

    #[test]
    fn both_ends_of_a_device_are_zeroed_and_nothing_else() {
        let file = tempfile::tempfile().unwrap();
        let size = 3 * EDGE as usize + 512;
        file.write_all_at(&vec![7; size], 0).unwrap();
        zero_ends(&file, size as u64).unwrap();
        let mut bytes = vec![0; size];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let edge = EDGE as usize;
        assert!(bytes[..edge].iter().chain(&bytes[size - edge..]).all(|b| *b == 0));
        assert!(bytes[edge..size - edge].iter().all(|b| *b == 7));
    }
}
