//! The ioctls by which mounted file systems grow. The only unsafe code of this crate.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

mod calls {
    use super::{BtrfsArguments, XfsGeometry, XfsGrow};

    nix::ioctl_write_ptr!(ext4_resize, b'f', 16, u64);
    nix::ioctl_write_ptr!(btrfs_resize, 0x94, 3, BtrfsArguments);
    nix::ioctl_read!(xfs_geometry, b'X', 100, XfsGeometry);
    nix::ioctl_write_ptr!(xfs_grow, b'X', 110, XfsGrow);
}

/// `struct btrfs_ioctl_vol_args` (Linux, include/uapi/linux/btrfs.h).
#[repr(C)]
#[allow(missing_debug_implementations)]
pub struct BtrfsArguments {
    fd: i64,
    name: [u8; 4088],
}

/// `struct xfs_fsop_geom_v1` (Linux, fs/xfs/libxfs/xfs_fs.h).
#[repr(C)]
#[derive(Debug, Default)]
pub struct XfsGeometry {
    /// Bytes in a block.
    pub block: u32,
    skipped: [u32; 6],
    /// Percent of the space that inodes may take.
    pub inodes: u32,
    /// Blocks of data.
    pub blocks: u64,
    skipped_numbers: [u64; 3],
    uuid: [u8; 16],
    skipped_rest: [u32; 8],
}

/// `struct xfs_growfs_data` (Linux, fs/xfs/libxfs/xfs_fs.h).
#[repr(C)]
#[derive(Debug)]
pub struct XfsGrow {
    blocks: u64,
    inodes: u32,
}

/// Gives an ext4 file system so many blocks; none are added when it has them.
///
/// # Errors
/// `EPERM` without CAP_SYS_RESOURCE, or when the file system has errors; `EINVAL` when it would shrink.
pub fn grow_ext4(root: impl AsFd, blocks: u64) -> Result<(), Errno> {
    // SAFETY: the descriptor is open for the length of the borrow; the kernel reads the number during the call.
    unsafe { calls::ext4_resize(root.as_fd().as_raw_fd(), &raw const blocks) }.map(drop)
}

/// Gives a btrfs file system of one device all of it.
///
/// # Errors
/// What the kernel says.
pub fn grow_btrfs(root: impl AsFd) -> Result<(), Errno> {
    let mut arguments = BtrfsArguments { fd: 0, name: [0; 4088] };
    for (place, byte) in arguments.name.iter_mut().zip(b"max") {
        *place = *byte;
    }
    // SAFETY: the descriptor is open for the length of the borrow; `arguments` has the layout of the kernel's structure and lives
    // until the call returns.
    unsafe { calls::btrfs_resize(root.as_fd().as_raw_fd(), &raw const arguments) }.map(drop)
}

/// The size of an XFS file system.
///
/// # Errors
/// What the kernel says.
pub fn xfs_geometry(root: impl AsFd) -> Result<XfsGeometry, Errno> {
    let mut geometry = XfsGeometry::default();
    // SAFETY: the descriptor is open for the length of the borrow; `geometry` has the layout of the kernel's structure and lives
    // until the call returns.
    unsafe { calls::xfs_geometry(root.as_fd().as_raw_fd(), &raw mut geometry) }?;
    Ok(geometry)
}

/// Gives an XFS file system so many blocks; `inodes` is the percentage that it had.
///
/// # Errors
/// What the kernel says.
pub fn grow_xfs(root: impl AsFd, blocks: u64, inodes: u32) -> Result<(), Errno> {
    let grow = XfsGrow { blocks, inodes };
    // SAFETY: the descriptor is open for the length of the borrow; `grow` has the layout of the kernel's structure and lives until
    // the call returns.
    unsafe { calls::xfs_grow(root.as_fd().as_raw_fd(), &raw const grow) }.map(drop)
}

// The kernel's sizes; they are part of the requests' numbers.
const _: () = assert!(
    size_of::<BtrfsArguments>() == 4096 && size_of::<XfsGeometry>() == 112 && size_of::<XfsGrow>() == 16
);
