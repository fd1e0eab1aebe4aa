//! The ioctls by which the kernel learns of partitions (`linux/blkpg.h`, `linux/fs.h`). The only unsafe code
//! of this crate.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_longlong, c_void};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

mod calls {
    use super::BlkpgArgument;

    nix::ioctl_none_bad!(blkrrpart, nix::request_code_none!(0x12, 95));
    nix::ioctl_write_ptr_bad!(blkpg, nix::request_code_none!(0x12, 105), BlkpgArgument);
}

const BLKPG_ADD_PARTITION: c_int = 1;
const BLKPG_DEL_PARTITION: c_int = 2;
const BLKPG_RESIZE_PARTITION: c_int = 3;

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
#[allow(missing_debug_implementations)]
pub struct BlkpgArgument {
    op: c_int,
    flags: c_int,
    datalen: c_int,
    data: *mut c_void,
}

/// `struct blkpg_partition`.
#[repr(C)]
struct BlkpgPartition {
    start: c_longlong,
    length: c_longlong,
    pno: c_int,
    devname: [c_char; 64],
    volname: [c_char; 64],
}

/// Shows the kernel partition 1 of `disk`, from byte `start` for `length` bytes, though no table on the disk
/// has it.
pub fn add_partition(disk: impl AsFd, start: u64, length: u64) -> Result<(), Errno> {
    blkpg(disk, BLKPG_ADD_PARTITION, 1, start, length)
}

/// Tells the kernel that a partition of `disk`, from byte `start`, is now `length` bytes long; it may be in use.
pub fn resize_partition(disk: impl AsFd, number: u32, start: u64, length: u64) -> Result<(), Errno> {
    blkpg(disk, BLKPG_RESIZE_PARTITION, number, start, length)
}

/// Makes the kernel forget partition 1 of `disk`.
pub fn delete_partition(disk: impl AsFd) -> Result<(), Errno> {
    blkpg(disk, BLKPG_DEL_PARTITION, 1, 0, 0)
}

fn blkpg(disk: impl AsFd, op: c_int, number: u32, start: u64, length: u64) -> Result<(), Errno> {
    let signed = |n: u64| c_longlong::try_from(n).map_err(|_| Errno::EOVERFLOW);
    let pno = c_int::try_from(number).map_err(|_| Errno::EOVERFLOW)?;
    let (start, length) = (signed(start)?, signed(length)?);
    let mut partition = BlkpgPartition { start, length, pno, devname: [0; 64], volname: [0; 64] };
    let argument = BlkpgArgument {
        op,
        flags: 0,
        datalen: size_of::<BlkpgPartition>() as c_int,
        data: (&raw mut partition).cast(),
    };
    // SAFETY: the descriptor is open for the length of the borrow; `argument` and the `partition` it points
    // to have the layout of the kernel's structures, and both outlive the call, after which the kernel keeps
    // neither.
    unsafe { calls::blkpg(disk.as_fd().as_raw_fd(), &raw const argument) }.map(drop)
}

/// Makes the kernel read the partition table of `disk` again; its partitions are there, or gone, when this
/// returns.
pub fn reread_table(disk: impl AsFd) -> Result<(), Errno> {
    // SAFETY: the descriptor is open for the length of the borrow, and this request takes no argument.
    unsafe { calls::blkrrpart(disk.as_fd().as_raw_fd()) }.map(drop)
}
