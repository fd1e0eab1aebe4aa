//! What is in something that was built, one reader a format, and images of the cache.
//!
//! ```text
//! a file ─► the reader that recognises it ─┬► files ─────────────────────────► the root, or a volume beside it
//!                                          └► parts: partitions, sections ─► again, each
//! ```
//!
//! Of a boot loader's file systems (FAT, ISO 9660), programs, initrds and disks in them are looked into as well. The root is the
//! volume that has an init, on a disk rather than in an initrd; all others keep a name: `partition 1:/EFI/BOOT/BOOTX64.EFI`.
//!
//! What is read may be anybody's: every size, depth and number is bounded, and every place is checked before it is used.

mod archive;
mod bytes;
mod disk;
mod erofs;
mod error;
mod explore;
mod ext4;
mod fat;
mod field;
mod found;
mod image;
mod initrd;
mod inodes;
mod iso;
mod listed;
mod listing;
mod qcow2;
mod squashfs;
#[cfg(test)]
mod tests;
mod uki;

use std::fmt;
use std::io;

pub use bytes::Bytes;
pub use error::ListingError;
pub use found::What;
pub use image::{ImageListingError, list_image};
pub use listed::{Listed, Spot};
pub use listing::Listing;

use found::Found;

/// All readers; the first that recognises something reads it.
static READERS: &[&dyn Reader] = &[
    &qcow2::Qcow2,
    &squashfs::Squashfs,
    &erofs::Erofs,
    &ext4::Ext4,
    &iso::Iso,
    &fat::Fat,
    &disk::Disk,
    &uki::UnifiedKernel,
    &initrd::Initrd,
    &archive::Archive,
];

/// Reads one format.
trait Reader: Sync + fmt::Debug {
    /// What it is called, in messages and as the name of a volume.
    fn called(&self) -> &'static str;

    /// Whether it is of this format.
    fn recognises(&self, bytes: &Bytes) -> io::Result<bool>;

    /// What is in it.
    fn read(&self, bytes: &Bytes) -> io::Result<Inside>;
}

/// What a reader finds.
#[derive(Debug, Default)]
struct Inside {
    files: Vec<Found>,
    /// Whether the files are for who boots the machine, and so are looked into.
    boots: bool,
    parts: Vec<Part>,
}

/// A part that has a format of its own.
#[derive(Debug)]
struct Part {
    name: String,
    bytes: Bytes,
    role: Role,
    /// What is said about it where it is found; nothing if it is not listed there.
    facts: Vec<(&'static str, String)>,
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// All there is, in another form.
    Itself,
    /// A volume of its own.
    Volume,
    /// Bytes that are only compared, such as code of a boot loader.
    Raw,
    /// What the tar format has under this path.
    Boot(&'static str),
}

/// For what is not as its format wants it.
fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
