//! The encrypted device over a swap file: a loop device of the file, and the kernel's dm-crypt over it but for the first page.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use device_mapper::Mapping;
use lk_losetup::device::{AttachError, attach_to_free};
use nix::errno::Errno;
use nix::sys::stat::{major, minor};

use crate::area::PAGE;

/// The name that LinuxKit gave the device, in `/dev/mapper`.
pub const NAME: &str = "swapfile";
/// The cipher, and the bytes of its key: two keys of AES-256.
const CIPHER: &str = "aes-xts-plain64";
/// Bytes of a key.
pub const KEY: usize = 64;
/// The unit of device-mapper's tables, in bytes.
const SECTOR: u64 = 512;

/// Why there is no encrypted device.
#[derive(Debug, thiserror::Error)]
pub enum EncryptError {
    /// The file has no loop device.
    #[error(transparent)]
    Loop(#[from] AttachError),
    /// The kernel refused.
    #[error("cannot make /dev/mapper/{NAME} over {device}: {errno}{}", advice(*.errno))]
    Map {
        /// The loop device.
        device: PathBuf,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The loop device cannot be looked at.
    #[error("{device}: {source}")]
    Look {
        /// The loop device.
        device: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT | Errno::ENXIO => {
            "; is /dev of the machine bound here, and has the kernel the module dm-mod?"
        }
        Errno::EINVAL => "; has the kernel the modules dm-crypt, aes and xts?",
        Errno::EBUSY => "; the name is taken by another device",
        _ => "",
    }
}

/// Makes the device over `file`, which was opened as `path` and has `pages` pages, and returns its node. It is taken away with
/// [`release`].
///
/// # Errors
/// [`EncryptError`]; nothing is left then.
pub fn open(file: &File, path: &Path, pages: u64, key: &[u8; KEY]) -> Result<PathBuf, EncryptError> {
    let (device, opened) = attach_to_free(file, path)?;
    let meta = opened.metadata().map_err(|source| EncryptError::Look { device: device.clone(), source })?;
    let number = (major(meta.rdev()), minor(meta.rdev()));
    let minor = device_mapper::create(&mapping(number, pages, key));
    let minor = minor.map_err(|errno| EncryptError::Map { device, errno })?;
    // For people: nothing here needs it.
    if let Err(error) = device_mapper::link(NAME, minor) {
        eprintln!("swap: /dev/mapper/{NAME}: cannot make it: {error}");
    }
    Ok(PathBuf::from(format!("/dev/dm-{minor}")))
}

/// Has the kernel take the device away, and the loop device with it, when it is swapped to no more.
///
/// # Errors
/// What the kernel says.
pub fn release() -> Result<(), Errno> {
    device_mapper::remove_when_unused(NAME)
}

/// The device without its first page.
fn mapping(device: (u64, u64), pages: u64, key: &[u8; KEY]) -> Mapping {
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    Mapping {
        name: NAME.to_owned(),
        uuid: format!("CRYPT-PLAIN-{NAME}"),
        sectors: pages.saturating_sub(1) * PAGE / SECTOR,
        kind: "crypt",
        parameters: format!("{CIPHER} {key} 0 {}:{} {}", device.0, device.1, PAGE / SECTOR),
        read_only: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_leaves_the_first_page_alone() {
        let mapping = mapping((7, 3), 256, &[0xa5; KEY]);
        assert_eq!(mapping.sectors, 255 * 8);
        assert_eq!(mapping.parameters, format!("aes-xts-plain64 {} 0 7:3 8", "a5".repeat(64)));
        assert!(!mapping.read_only);
    }
}
