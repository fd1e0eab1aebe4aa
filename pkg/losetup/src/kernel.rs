//! The ioctls of loop devices (Linux, include/uapi/linux/loop.h). The only unsafe code of this crate.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

mod calls {
    use super::{Config, Info};

    nix::ioctl_write_int_bad!(ctl_add, 0x4c80);
    nix::ioctl_none_bad!(ctl_get_free, 0x4c82);
    nix::ioctl_read_bad!(get_status64, 0x4c05, Info);
    nix::ioctl_write_ptr_bad!(configure, 0x4c0a, Config);
}

/// `LO_FLAGS_AUTOCLEAR`.
const AUTOCLEAR: u32 = 4;
/// `LO_FLAGS_DIRECT_IO`.
const DIRECT: u32 = 16;
/// Bytes of a name, with a zero behind it.
const NAME: usize = 64;

/// `struct loop_info64`.
#[repr(C)]
#[allow(missing_debug_implementations, missing_docs)]
pub struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; NAME],
    crypt_name: [u8; NAME],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
#[allow(missing_debug_implementations, missing_docs)]
pub struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

impl Info {
    const fn zero() -> Self {
        Self {
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: 0,
            size_limit: 0,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: 0,
            file_name: [0; NAME],
            crypt_name: [0; NAME],
            encrypt_key: [0; 32],
            init: [0; 2],
        }
    }
}

/// The file behind a loop device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backing {
    /// The number of its file system's device, as `st_dev`.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Its name when it was attached, cut off at 63 bytes.
    pub name: String,
}

/// Makes the loop device with this number; `EEXIST` when it is there.
///
/// # Errors
/// What the kernel says.
pub fn add(control: impl AsFd, number: i32) -> Result<(), Errno> {
    // SAFETY: the descriptor is open for the length of the borrow, and the argument is a number.
    unsafe { calls::ctl_add(control.as_fd().as_raw_fd(), number) }.map(drop)
}

/// The number of a loop device that nobody uses, which may be a new one.
///
/// # Errors
/// What the kernel says.
pub fn free(control: impl AsFd) -> Result<i32, Errno> {
    // SAFETY: the descriptor is open for the length of the borrow, and this request takes no argument.
    unsafe { calls::ctl_get_free(control.as_fd().as_raw_fd()) }
}

/// The file behind a loop device, if there is one.
///
/// # Errors
/// What the kernel says.
pub fn backing(device: impl AsFd) -> Result<Option<Backing>, Errno> {
    let mut info = Info::zero();
    // SAFETY: the descriptor is open for the length of the borrow; `info` has the layout of the kernel's structure and lives
    // until the call returns.
    match unsafe { calls::get_status64(device.as_fd().as_raw_fd(), &raw mut info) } {
        Ok(_) => {
            let name = info.file_name.split(|b| *b == 0).next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            Ok(Some(Backing { device: info.device, inode: info.inode, name }))
        }
        Err(Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Puts `file` behind a loop device; `name` is for people. A `transient` one is taken away again when nobody has the device open
/// any more, and is not cached a second time, if its file system can do without.
///
/// # Errors
/// `EBUSY` when there is a file behind it; what else the kernel says.
pub fn attach(device: impl AsFd, file: impl AsFd, name: &str, transient: bool) -> Result<(), Errno> {
    let mut info = Info::zero();
    info.flags = if transient { AUTOCLEAR | DIRECT } else { 0 };
    for (place, byte) in info.file_name.iter_mut().take(NAME - 1).zip(name.bytes()) {
        *place = byte;
    }
    let fd = u32::try_from(file.as_fd().as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let config = Config { fd, block_size: 0, info, reserved: [0; 8] };
    // SAFETY: both descriptors are open for the length of the borrows; `config` has the layout of the kernel's structure and
    // lives until the call returns, after which the kernel keeps the file by itself.
    unsafe { calls::configure(device.as_fd().as_raw_fd(), &raw const config) }.map(drop)
}

// The kernel's sizes, on every architecture.
const _: () = assert!(size_of::<Info>() == 232 && size_of::<Config>() == 304);
