//! File systems with a label on block devices, read in user space: config drives, without mount(2) and without a right
//! to it.
//!
//! ```text
//! device ──► image ──► iso9660, fat ──► bytes of one file
//! ```
//!
//! Whoever made the device is not trusted: nothing is read outside of it, and every count, size and chain has a limit.

mod device;
mod drives;
pub mod fat;
mod field;
mod image;
pub mod iso9660;

use std::fmt;
use std::path::Path;

use thiserror::Error;

pub use drives::drives_below;
pub use image::Image;

/// Longest path that is looked up, in components.
const MAX_DEPTH: usize = 16;

/// A kind of file system: none if the image holds another.
type Open = fn(&dyn Image) -> Result<Option<Box<dyn FileSystem>>, Fault>;

/// Every kind that is known.
const FORMATS: &[Open] = &[iso9660::open, fat::open];

/// What can be asked of a file system.
pub trait FileSystem: fmt::Debug {
    /// Its volume label, without the blanks at its end.
    fn label(&self) -> &str;

    /// Reads a file of at most `limit` bytes; none if nothing has that name. `path` has at least one component and no
    /// empty one.
    ///
    /// # Errors
    /// [`Fault`].
    fn read(&self, image: &dyn Image, path: &[&str], limit: usize) -> Result<Option<Vec<u8>>, Fault>;
}

/// What is wrong with a device, or with what is on it.
#[derive(Debug, Error)]
pub enum Fault {
    /// The device does not answer.
    #[error("cannot read it: {0}")]
    Io(#[from] std::io::Error),
    /// The file system contradicts itself.
    #[error("the file system is damaged: {0}")]
    Damaged(&'static str),
    /// The format allows it, nobody does it.
    #[error("the file system uses {0}, which is not read here")]
    Unsupported(&'static str),
    /// The file is larger than it may be.
    #[error("larger than {0} bytes")]
    TooLarge(usize),
    /// A directory where a file should be, or the other way round.
    #[error("it is, or leads through, something of another kind")]
    Kind,
}

/// Why a volume could not be found or read.
#[derive(Debug, Error)]
pub enum VolumeError {
    /// The kernel's list of block devices.
    #[error("cannot list block devices in {directory}: {cause}; is /sys there?")]
    List {
        /// Where the list should be.
        directory: String,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// No label fits, but this device could not be looked at.
    #[error("{device}: {why}; whether it is labelled {labels} is unknown")]
    Look {
        /// The device's node.
        device: String,
        /// What was looked for.
        labels: String,
        /// What is wrong.
        why: Fault,
    },
    /// A file.
    #[error("{device}: {path}: {why}")]
    Read {
        /// The device's node.
        device: String,
        /// The file on it.
        path: String,
        /// What is wrong.
        why: Fault,
    },
}

/// A file system with a label, on an open device.
#[derive(Debug)]
pub struct Volume {
    device: String,
    image: Box<dyn Image>,
    file_system: Box<dyn FileSystem>,
}

impl Volume {
    /// Recognises what is on `image`, which messages call `device`; none if no known file system is.
    ///
    /// # Errors
    /// [`Fault`] if it can't be read or contradicts itself.
    pub fn open(device: &str, image: Box<dyn Image>) -> Result<Option<Self>, Fault> {
        for open in FORMATS {
            if let Some(file_system) = open(image.as_ref())? {
                return Ok(Some(Self { device: device.to_owned(), image, file_system }));
            }
        }
        Ok(None)
    }

    /// The device's node.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The volume label.
    #[must_use]
    pub fn label(&self) -> &str {
        self.file_system.label()
    }

    /// Reads a file of at most `limit` bytes by its path from the root, components joined by `/`; none if nothing has
    /// that name. A name in another case is taken when none fits exactly. Symbolic links are not followed.
    ///
    /// # Errors
    /// [`VolumeError::Read`] if it is larger, no regular file, or can't be read.
    pub fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, VolumeError> {
        let components: Vec<_> = path.split('/').filter(|name| !name.is_empty()).collect();
        let read = match components.len() {
            0 => Err(Fault::Kind),
            // FAT's directories have both as entries.
            _ if components.iter().any(|name| matches!(*name, "." | "..")) => Ok(None),
            1..=MAX_DEPTH => self.file_system.read(self.image.as_ref(), &components, limit),
            _ => Ok(None),
        };
        read.map_err(|why| VolumeError::Read { device: self.device.clone(), path: path.to_owned(), why })
    }
}

/// The first of this machine's block devices, by name, with a file system of one of these labels, in exactly this case.
///
/// # Errors
/// [`VolumeError::List`], and [`VolumeError::Look`] if none was found and one could not be looked at.
pub fn find(labels: &[&str]) -> Result<Option<Volume>, VolumeError> {
    find_below(Path::new("/sys/class/block"), Path::new("/dev"), labels)
}

/// [`find`] with the kernel's list of block devices and their nodes elsewhere.
///
/// # Errors
/// As [`find`].
pub fn find_below(sys: &Path, dev: &Path, labels: &[&str]) -> Result<Option<Volume>, VolumeError> {
    let devices = device::list(sys)
        .map_err(|cause| VolumeError::List { directory: sys.display().to_string(), cause })?;
    let mut failed = None;
    for device in devices {
        let node = dev.join(&device.node).display().to_string();
        match device.open(dev).and_then(|image| image.map_or(Ok(None), |i| Volume::open(&node, i))) {
            Ok(Some(volume)) if labels.contains(&volume.label()) => return Ok(Some(volume)),
            Ok(_) => {}
            // A file system of somebody else's: whether it is whole is not our business.
            Err(Fault::Damaged(_) | Fault::Unsupported(_)) => {}
            Err(why) => {
                let look = || VolumeError::Look { device: node, labels: labels.join(" or "), why };
                failed.get_or_insert_with(look);
            }
        }
    }
    failed.map_or(Ok(None), Err)
}

/// The entry of that name: exactly, or else in another case.
fn named<'e, E>(entries: &'e [E], wanted: &str, name: impl Fn(&E) -> &str) -> Option<&'e E> {
    let exact = entries.iter().find(|entry| name(entry) == wanted);
    exact.or_else(|| entries.iter().find(|entry| name(entry).eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests;
