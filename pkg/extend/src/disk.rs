//! Which disks can be extended, and writing their tables.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use lk_command::program::Programs;
use lk_command::size::{Bytes, MIB};
use lk_format::content::Found;
use lk_format::inventory::{Disk, Partition};
use lk_format::kernel;
use lk_format::probe::{self, ProbeError};
use lk_format::table::{Layout, LayoutError};
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::grow::Fs;
use crate::table::{self, Plan, TableError};

/// The least size in bytes that the kernel gives btrfs (Linux, fs/btrfs/ioctl.c, `btrfs_ioctl_resize`).
const BTRFS_LEAST: u64 = 256 * MIB;

/// Why a disk is not one to extend. Of a disk that was not named, that is no error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A kind that is never a data disk.
    #[error("is {0}")]
    Kind(&'static str),
    /// The kernel refuses writes, or hides it.
    #[error("cannot be written to")]
    ReadOnly,
    /// It is mounted, or part of another device.
    #[error("is in use: extend runs before what is on it is mounted")]
    InUse,
    /// Its table is none, or another.
    #[error(transparent)]
    Table(#[from] TableError),
    /// It is too small, or has odd sectors.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// What is in the partition does not grow here.
    #[error("holds {0}, not {1}")]
    Content(String, &'static str),
    /// The kernel refuses this size.
    #[error("holds btrfs, which the kernel enlarges to {least} and more alone: not to {0}", least = Bytes(BTRFS_LEAST))]
    SmallBtrfs(Bytes),
    /// The kernel shows no partition, or more than one.
    #[error("the kernel shows {0} partitions on it, not one")]
    NotOne(usize),
}

/// Why a disk that is one to extend was not extended.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A device cannot be looked at.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// A step failed.
    #[error("{node}: cannot {step}: {source}")]
    Step {
        /// The disk.
        node: String,
        /// What was being done.
        step: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
}

/// A disk that can be extended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// Its one partition, as it is.
    pub partition: Partition,
    /// What is in it.
    pub fs: Fs,
    /// What to do to the table; `None` when the partition reaches to the end.
    pub plan: Option<Plan>,
}

/// Looks at a disk without changing anything; only `wanted` grows, if that is said.
///
/// # Errors
/// [`DiskError`] when it cannot be looked at.
pub fn look(disk: &Disk, wanted: Option<Fs>, programs: &Programs) -> Result<Result<Fit, Unfit>, DiskError> {
    if let Err(unfit) = fit_by_name(disk) {
        return Ok(Err(unfit));
    }
    let node = disk.node();
    let (first, _) = probe::edges(&node, disk.size)?;
    let layout = match Layout::of(disk.size, disk.sector) {
        Ok(layout) => layout,
        Err(error) => return Ok(Err(error.into())),
    };
    let plan = match table::plan(&first, &layout) {
        Ok(plan) => plan,
        Err(error) => return Ok(Err(error.into())),
    };
    let [partition] = disk.partitions.as_slice() else {
        return Ok(Err(Unfit::NotOne(disk.partitions.len())));
    };
    if probe::in_use(&node)? || !partition.holders.is_empty() {
        return Ok(Err(Unfit::InUse));
    }
    let found = probe::identify(&partition.node(), programs)?;
    let length = plan.as_ref().map_or(partition.size, |plan| plan.length);
    let fs = fs_of(&found, wanted).and_then(|fs| fit_by_length(fs, length));
    Ok(fs.map(|fs| Fit { partition: partition.clone(), fs, plan }))
}

fn fit_by_name(disk: &Disk) -> Result<(), Unfit> {
    if let Some(kind) = disk.odd_kind() {
        return Err(Unfit::Kind(kind));
    }
    if disk.read_only || disk.hidden || disk.size == 0 {
        return Err(Unfit::ReadOnly);
    }
    if disk.holders.is_empty() { Ok(()) } else { Err(Unfit::InUse) }
}

fn fs_of(found: &Found, wanted: Option<Fs>) -> Result<Fs, Unfit> {
    let kind = match found {
        Found::One(signature) => signature.kind.as_deref(),
        Found::Nothing | Found::Several => None,
    };
    let fs = kind.and_then(Fs::by_name).filter(|fs| wanted.is_none_or(|wanted| wanted == *fs));
    fs.ok_or_else(|| Unfit::Content(found.to_string(), wanted.map_or("ext4, btrfs or xfs", Fs::name)))
}

fn fit_by_length(fs: Fs, length: u64) -> Result<Fs, Unfit> {
    match fs {
        Fs::Btrfs if length < BTRFS_LEAST => Err(Unfit::SmallBtrfs(Bytes(length))),
        fs => Ok(fs),
    }
}

/// Writes the table and shows the kernel the larger partition.
///
/// # Errors
/// [`DiskError`]; the table on the disk is the old one or the new one.
pub fn enlarge(node: &str, plan: &Plan) -> Result<(), DiskError> {
    let step = |step: &'static str| {
        let node = node.to_owned();
        move |source: io::Error| DiskError::Step { node, step, source }
    };
    // The locking convention for block devices (systemd's `BLOCK_DEVICE_LOCKING`).
    let lock = File::open(node).map_err(step("open it"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, e)| step("lock it: another program is at work on it")(e.into()))?;
    let mut options = OpenOptions::new();
    let exclusive = options.read(true).write(true).custom_flags(OFlag::O_EXCL.bits());
    let disk = exclusive.open(node).map_err(step("open it for writing"))?;
    for write in &plan.writes {
        disk.write_all_at(&write.bytes, write.offset)
            .and_then(|()| disk.sync_all())
            .map_err(step("write the partition table"))?;
    }
    kernel::resize_partition(&disk, plan.number, plan.start, plan.length).map_err(|e| {
        step("show the kernel the larger partition; it is in the table, and grows at the next boot")(e.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lk_format::content::Signature;

    fn disk(name: &str) -> Disk {
        Disk {
            name: name.into(),
            size: 64 << 20,
            sector: 512,
            removable: false,
            read_only: false,
            hidden: false,
            holders: vec![],
            partitions: vec![],
        }
    }

    #[test]
    fn disks_that_can_never_be_extended_are_known_without_a_look() {
        assert_eq!(fit_by_name(&disk("vda")), Ok(()));
        assert_eq!(fit_by_name(&disk("loop0")), Err(Unfit::Kind("a loop device")));
        assert_eq!(fit_by_name(&Disk { read_only: true, ..disk("vda") }), Err(Unfit::ReadOnly));
        assert_eq!(fit_by_name(&Disk { size: 0, ..disk("vda") }), Err(Unfit::ReadOnly));
        assert_eq!(fit_by_name(&Disk { holders: vec!["md0".into()], ..disk("vda") }), Err(Unfit::InUse));
    }

    #[test]
    fn btrfs_below_the_kernels_least_size_is_left_alone() {
        let small = Err(Unfit::SmallBtrfs(Bytes(255 * MIB)));
        assert_eq!(fit_by_length(Fs::Btrfs, 255 * MIB), small);
        assert_eq!(fit_by_length(Fs::Btrfs, 256 * MIB), Ok(Fs::Btrfs));
        assert_eq!(fit_by_length(Fs::Ext4, 16 * MIB), Ok(Fs::Ext4));
    }

    #[test]
    fn only_the_file_system_that_was_named_grows() {
        let found = |kind: &str| Found::One(Signature { kind: Some(kind.into()), ..Signature::default() });
        assert_eq!(fs_of(&found("xfs"), None), Ok(Fs::Xfs));
        assert_eq!(fs_of(&found("xfs"), Some(Fs::Xfs)), Ok(Fs::Xfs));
        for (found, wanted) in [
            (found("xfs"), Some(Fs::Ext4)),
            (found("vfat"), None),
            (Found::Nothing, None),
            (Found::Several, None),
        ] {
            assert!(matches!(fs_of(&found, wanted), Err(Unfit::Content(..))), "{found:?}");
        }
    }
}
