//! Grows a file system to the size of its partition: it is mounted, the kernel is told, it is unmounted.

use std::fs::File;
use std::io;

use lk_command::program::Programs;
use lk_mount::fsck::{self, Checked, Damaged};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::fstatfs;

use crate::kernel;

/// Where it is mounted, for this container alone.
const MOUNT_POINT: &str = "/mnt";

/// A file system that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fs {
    /// ext4.
    Ext4,
    /// btrfs of one device.
    Btrfs,
    /// XFS.
    Xfs,
}

impl Fs {
    /// Its name, as the kernel, `blkid` and the command line have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Btrfs => "btrfs",
            Self::Xfs => "xfs",
        }
    }

    /// The file system of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Ext4, Self::Btrfs, Self::Xfs].into_iter().find(|fs| fs.name() == name)
    }
}

/// Why it did not grow.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// It is damaged.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// It cannot be mounted.
    #[error("{node}: cannot mount {fs} on {MOUNT_POINT}: {errno}")]
    Mount {
        /// The partition.
        node: String,
        /// The file system.
        fs: &'static str,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The kernel refused.
    #[error("{node}: {fs} does not grow: {errno}{}", advice(*.errno))]
    Grow {
        /// The partition.
        node: String,
        /// The file system.
        fs: &'static str,
        /// The kernel's reason.
        errno: Errno,
    },
    /// It is mounted, and cannot be looked at or unmounted.
    #[error("{MOUNT_POINT}: cannot {step}: {source}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => "; it takes CAP_SYS_ADMIN and, for ext4, CAP_SYS_RESOURCE",
        Errno::EOPNOTSUPP => "; it has features with which the kernel cannot enlarge it",
        _ => "",
    }
}

/// Sizes in bytes, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grown {
    /// What it had for files and its own needs.
    pub before: u64,
    /// What it has.
    pub after: u64,
}

/// Grows `fs` in the partition `node` of `length` bytes; one that has all of it is left as it is.
///
/// # Errors
/// [`GrowError`]
pub fn grow(node: &str, fs: Fs, length: u64, programs: &Programs) -> Result<Grown, GrowError> {
    if fs == Fs::Ext4
        && let Checked::Repaired(what) | Checked::Skipped(what) = fsck::check(node, programs)?
    {
        println!("extend: {node}: e2fsck: {what}");
    }
    std::fs::create_dir_all(MOUNT_POINT).map_err(io_error("make it"))?;
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some(node), MOUNT_POINT, Some(fs.name()), flags, None::<&str>)
        .map_err(|errno| GrowError::Mount { node: node.to_owned(), fs: fs.name(), errno })?;
    let grown = grow_mounted(node, fs, length);
    let unmounted = umount2(MOUNT_POINT, MntFlags::empty()).map_err(|e| io_error("unmount it")(e.into()));
    let grown = grown?;
    unmounted.map(|()| grown)
}

fn grow_mounted(node: &str, fs: Fs, length: u64) -> Result<Grown, GrowError> {
    let root = File::open(MOUNT_POINT).map_err(io_error("open it"))?;
    let error = |errno| GrowError::Grow { node: node.to_owned(), fs: fs.name(), errno };
    let before = size(&root)?;
    match fs {
        Fs::Ext4 => {
            let block = fstatfs(&root).map_err(|e| io_error("look at it")(e.into()))?.block_size();
            let block =
                u64::try_from(block).ok().filter(|block| *block > 0).ok_or_else(|| error(Errno::EINVAL))?;
            kernel::grow_ext4(&root, length / block).map_err(error)?;
        }
        Fs::Btrfs => kernel::grow_btrfs(&root).map_err(error)?,
        Fs::Xfs => {
            let geometry = kernel::xfs_geometry(&root).map_err(error)?;
            let blocks = length.checked_div(u64::from(geometry.block)).ok_or_else(|| error(Errno::EINVAL))?;
            if blocks > geometry.blocks {
                kernel::grow_xfs(&root, blocks, geometry.inodes).map_err(error)?;
            }
        }
    }
    Ok(Grown { before, after: size(&root)? })
}

fn size(root: &File) -> Result<u64, GrowError> {
    let fs = fstatfs(root).map_err(|e| io_error("look at it")(e.into()))?;
    Ok(fs.blocks().saturating_mul(u64::try_from(fs.block_size()).unwrap_or(0)))
}

fn io_error(step: &'static str) -> impl FnOnce(io::Error) -> GrowError {
    move |source| GrowError::Io { step, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_have_the_names_of_the_kernel() {
        for fs in [Fs::Ext4, Fs::Btrfs, Fs::Xfs] {
            assert_eq!(Fs::by_name(fs.name()), Some(fs));
        }
        assert_eq!(Fs::by_name("vfat"), None);
    }
}
