//! This machine's block devices, as the kernel lists them.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::Fault;
use super::image::{Image, Opened};

/// Devices and partitions that are looked at.
const MAX_DEVICES: usize = 256;
/// Smallest device that can hold anything, in bytes: an ISO 9660 volume descriptor ends there. An empty drive has
/// no bytes, and a floppy drive that has not been asked has few.
const MIN_SIZE: u64 = 18 * 2048;
/// What the kernel counts sizes in, whatever the device's own unit.
const SECTOR: u64 = 512;
/// Memory, and files that were found elsewhere already.
const NO_DRIVES: &[&str] = &["ram", "zram", "loop"];

/// A device that may hold something.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Device {
    /// Its node below `/dev`.
    pub(super) node: String,
    size: u64,
}

/// Disks, drives and their partitions, by name, that have a medium of some size.
pub(super) fn list(sys: &Path) -> io::Result<Vec<Device>> {
    let mut devices = Vec::new();
    for entry in fs::read_dir(sys)?.take(MAX_DEVICES) {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if NO_DRIVES.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let size = sectors(&entry.path().join("size")).saturating_mul(SECTOR);
        if size >= MIN_SIZE {
            devices.push(Device { node: name.replace('!', "/"), size });
        }
    }
    devices.sort();
    Ok(devices)
}

/// A device that has gone since it was listed has no sectors.
fn sectors(path: &Path) -> u64 {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(32).read_to_string(&mut text));
    read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or(0)
}

impl Device {
    /// Opens it, read-only; none if it or its medium has gone.
    pub(super) fn open(&self, dev: &Path) -> Result<Option<Box<dyn Image>>, Fault> {
        let flags = OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match OpenOptions::new().read(true).custom_flags(flags.bits()).open(dev.join(&self.node)) {
            Ok(file) => Ok(Some(Box::new(Opened { file, size: self.size }))),
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOMEDIUM | Errno::ENXIO | Errno::ENODEV) => Ok(None),
                _ => Err(Fault::Io(error)),
            },
        }
    }
}
