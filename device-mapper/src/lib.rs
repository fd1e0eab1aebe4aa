//! Device-mapper: block devices that the kernel makes of others (Linux, include/uapi/linux/dm-ioctl.h).
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]
#![allow(unsafe_code)]

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::errno::Errno;

/// Devtmpfs makes it when the module is there.
const CONTROL: &str = "/dev/mapper/control";
/// Where devices have their names.
const DIRECTORY: &str = "/dev/mapper";
/// The interface's version that is spoken here; kernels take older ones of the same major number.
const VERSION: [u32; 3] = [4, 0, 0];
/// `struct dm_ioctl`.
const HEADER: usize = 312;
/// Its `dev` and `name`, from the start.
const DEVICE: usize = 40;
const NAME: usize = 128;
const UUID: usize = 129;
/// `target_type` of `struct dm_target_spec`.
const KIND: usize = 16;
/// `DM_READONLY_FLAG`.
const READ_ONLY: u32 = 1;
/// `DM_SECURE_DATA_FLAG`: the kernel wipes its copy of the message, which may have a key in it.
const SECURE: u32 = 1 << 15;
/// `DM_DEFERRED_REMOVE`
const DEFERRED: u32 = 1 << 17;

type Header = [u8; HEADER];
type Call = unsafe fn(i32, *mut Header) -> Result<i32, Errno>;

// `DM_DEV_CREATE`, `DM_DEV_REMOVE`, `DM_DEV_SUSPEND`, `DM_DEV_STATUS`, `DM_TABLE_LOAD`.
mod calls {
    #![allow(missing_docs)]

    use super::Header;

    nix::ioctl_readwrite!(create, 0xfd, 3, Header);
    nix::ioctl_readwrite!(remove, 0xfd, 4, Header);
    nix::ioctl_readwrite!(suspend, 0xfd, 6, Header);
    nix::ioctl_readwrite!(status, 0xfd, 7, Header);
    nix::ioctl_readwrite!(load, 0xfd, 9, Header);
}

/// A device of one target.
#[derive(Clone, PartialEq, Eq)]
pub struct Mapping {
    /// What device-mapper calls it, up to 127 bytes.
    pub name: String,
    /// Whose it is and what for, up to 128 bytes.
    pub uuid: String,
    /// Its size in sectors of 512 bytes.
    pub sectors: u64,
    /// The kind of the target, up to 15 bytes.
    pub kind: &'static str,
    /// What the target is told. There may be a key in it.
    pub parameters: String,
    /// Whether the device can only be read.
    pub read_only: bool,
}

/// Without the parameters: a key would end up in a log.
impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, uuid, sectors, kind, parameters: _, read_only } = self;
        write!(f, "Mapping {{ {name:?}, {uuid:?}, {sectors} sectors, {kind}, read_only: {read_only} }}")
    }
}

/// A device that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its minor number: its node is `/dev/dm-N`.
    pub minor: u32,
    /// What it was made with.
    pub uuid: String,
}

/// Makes the device, and returns its minor number: its node is `/dev/dm-N`.
///
/// # Errors
/// `ENOENT` or `ENXIO` without device-mapper in the kernel, `EBUSY` when the name is taken, `EINVAL` for a target that the
/// kernel does not have or that does not take its parameters. Nothing is left then.
pub fn create(mapping: &Mapping) -> Result<u32, Errno> {
    let control = control()?;
    let flags = SECURE | if mapping.read_only { READ_ONLY } else { 0 };
    let answer = call(&control, calls::create, message(&mapping.name, &mapping.uuid, 0, &[])?)?;
    let minor = minor(&answer).ok_or(Errno::EPROTO)?;
    let started = target(mapping)
        .and_then(|target| message(&mapping.name, "", flags, &target))
        .and_then(|message| call(&control, calls::load, message))
        // Without the flag to suspend it, it is resumed: that takes the table into use.
        .and_then(|_| call(&control, calls::suspend, message(&mapping.name, "", 0, &[])?));
    if let Err(errno) = started {
        // The first error counts.
        message(&mapping.name, "", 0, &[]).and_then(|message| call(&control, calls::remove, message)).ok();
        return Err(errno);
    }
    Ok(minor)
}

/// The device with this name, if there is one.
///
/// # Errors
/// `ENOENT` without device-mapper in the kernel; what else the kernel says.
pub fn find(name: &str) -> Result<Option<Found>, Errno> {
    match call(&control()?, calls::status, message(name, "", 0, &[])?) {
        Ok(answer) => Ok(Some(Found { minor: minor(&answer).ok_or(Errno::EPROTO)?, uuid: uuid(&answer) })),
        Err(Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Gives a device its name in `/dev/mapper`, as a link, which is what udev makes.
///
/// # Errors
/// When the link cannot be made.
pub fn link(name: &str, minor: u32) -> io::Result<()> {
    let (path, new) = (Path::new(DIRECTORY).join(name), Path::new(DIRECTORY).join(format!(".{name}.new")));
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(format!("../dm-{minor}"), &new)?;
    std::fs::rename(&new, &path)
}

/// Takes a device away.
///
/// # Errors
/// `ENXIO` when there is none, `EBUSY` when it is in use.
pub fn remove(name: &str) -> Result<(), Errno> {
    call(&control()?, calls::remove, message(name, "", 0, &[])?).map(drop)
}

/// Takes a device away as soon as nobody uses it any more.
///
/// # Errors
/// `ENXIO` when there is none.
pub fn remove_when_unused(name: &str) -> Result<(), Errno> {
    call(&control()?, calls::remove, message(name, "", DEFERRED, &[])?).map(drop)
}

fn control() -> Result<File, Errno> {
    let control = OpenOptions::new().read(true).write(true).open(CONTROL);
    control.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}

/// A `struct dm_ioctl`, with its target behind it.
fn message(name: &str, uuid: &str, flags: u32, target: &[u8]) -> Result<Vec<u8>, Errno> {
    let size = u32::try_from(HEADER + target.len()).map_err(|_| Errno::E2BIG)?;
    let start = u32::try_from(HEADER).map_err(|_| Errno::E2BIG)?;
    let mut message: Vec<u8> = VERSION.into_iter().flat_map(u32::to_ne_bytes).collect();
    // Sizes, how many targets, how often it is open, flags, the number of its last event, nothing.
    let numbers = [size, start, u32::from(!target.is_empty()), 0, flags, 0, 0];
    message.extend(numbers.into_iter().flat_map(u32::to_ne_bytes));
    message.extend(0_u64.to_ne_bytes());
    for (text, room) in [(name, NAME), (uuid, UUID)] {
        message.extend(padded(text, room)?);
    }
    message.resize(HEADER, 0);
    message.extend(target);
    Ok(message)
}

/// A `struct dm_target_spec`, with its parameters behind it.
fn target(mapping: &Mapping) -> Result<Vec<u8>, Errno> {
    let mut target: Vec<u8> = [0, mapping.sectors].into_iter().flat_map(u64::to_ne_bytes).collect();
    // Its status, and where the next one is.
    target.extend([0; 8]);
    target.extend(padded(mapping.kind, KIND)?);
    target.extend(padded(&mapping.parameters, mapping.parameters.len() + 1)?);
    Ok(target)
}

/// Text with zeros behind it, at least one.
fn padded(text: &str, room: usize) -> Result<Vec<u8>, Errno> {
    if text.len() >= room || text.contains('\0') {
        return Err(Errno::EINVAL);
    }
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(room, 0);
    Ok(bytes)
}

/// Does one thing, and returns the message as the kernel has changed it.
fn call(control: &File, call: Call, mut message: Vec<u8>) -> Result<Vec<u8>, Errno> {
    if message.len() < HEADER {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the kernel reads and writes as many bytes as the message says of itself: `message()` writes its length there. It
    // is at least one `struct dm_ioctl`, and lives until the call returns.
    unsafe { call(control.as_raw_fd(), message.as_mut_ptr().cast()) }?;
    Ok(message)
}

/// The minor number of the message's device, as new_encode_dev() writes it (Linux, include/linux/kdev_t.h).
fn minor(message: &[u8]) -> Option<u32> {
    let bytes = message.get(DEVICE..DEVICE + 8)?.try_into().ok()?;
    let device = u32::try_from(u64::from_ne_bytes(bytes)).ok()?;
    Some(device & 0xff | device >> 12 & 0xfff00)
}

/// The text in the message's field for it.
fn uuid(message: &[u8]) -> String {
    let start = DEVICE + 8 + NAME;
    let field = message.get(start..start + UUID).unwrap_or_default();
    String::from_utf8_lossy(field.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping() -> Mapping {
        Mapping {
            name: "root".into(),
            uuid: "CRYPT-VERITY-1-root".into(),
            sectors: 80,
            kind: "verity",
            parameters: "1 253:2 253:3".into(),
            read_only: true,
        }
    }

    #[test]
    fn a_message_has_the_kernels_layout() {
        let mapping = mapping();
        let target = target(&mapping).unwrap();
        let message = message(&mapping.name, &mapping.uuid, READ_ONLY, &target).unwrap();
        let number = |at: usize| u32::from_ne_bytes(message[at..at + 4].try_into().unwrap());
        assert_eq!([number(0), number(4), number(8)], VERSION);
        assert_eq!((number(12), number(16)), (message.len() as u32, 312));
        assert_eq!((number(20), number(28)), (1, READ_ONLY));
        assert_eq!(&message[48..53], b"root\0");
        assert_eq!(&message[176..196], b"CRYPT-VERITY-1-root\0");
        assert_eq!(u64::from_ne_bytes(message[320..328].try_into().unwrap()), 80);
        assert_eq!(&message[336..343], b"verity\0");
        // `struct dm_target_spec` has 40 bytes.
        assert_eq!(&message[HEADER + 40..], b"1 253:2 253:3\0");
        assert_eq!(uuid(&message), "CRYPT-VERITY-1-root");
        // A message without a target says so.
        assert_eq!(super::message("x", "", 0, &[]).unwrap()[20..24], [0; 4]);
    }

    #[test]
    fn what_has_no_room_is_refused() {
        assert_eq!(message(&"n".repeat(128), "", 0, &[]), Err(Errno::EINVAL));
        assert!(message(&"n".repeat(127), &"u".repeat(128), 0, &[]).is_ok());
        assert_eq!(target(&Mapping { parameters: "a\0b".into(), ..mapping() }), Err(Errno::EINVAL));
    }

    #[test]
    fn numbers_of_devices_are_read_as_the_kernel_writes_them() {
        let with = |device: u64| {
            let mut message = vec![0; HEADER];
            message[DEVICE..DEVICE + 8].copy_from_slice(&device.to_ne_bytes());
            minor(&message)
        };
        assert_eq!(with(253 << 8 | 7), Some(7));
        assert_eq!(with(253 << 8 | 0x34 | 0x12 << 20), Some(0x1234));
        assert_eq!(with(1 << 40), None);
        assert_eq!(minor(&[]), None);
    }

    #[test]
    fn a_key_is_not_shown() {
        let mapping = Mapping { parameters: "aes 0011223344".into(), ..mapping() };
        assert!(!format!("{mapping:?}").contains("0011"), "{mapping:?}");
    }

    #[test]
    fn a_kernel_without_device_mapper_says_so() {
        // Who runs the tests may neither have the node nor the right to use it.
        assert!(create(&Mapping { kind: "nothing", ..mapping() }).is_err());
    }
}
