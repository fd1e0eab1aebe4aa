//! ISO 9660 with Rock Ridge: file systems for CDs, and for roots that are read on demand.
//!
//! | file | duty |
//! |---|---|
//! | `field.rs` | numbers, texts and times as they lie on the disk |
//! | `identifier.rs` | the names that plain ISO 9660 has for files |
//! | `rock_ridge.rs` | modes, owners, links, devices and names as Linux has them |
//! | `record.rs` | the records of one directory |
//! | `layout.rs` | a tree → what lies in which sector |
//! | `volume.rs` | writes what was laid out, from front to back |
//! | `el_torito.rs` | what firmware looks for on a CD |
//! | `fingerprint.rs` | a number of a machine's own, by which its file system is found |
//! | `boot.rs` | an image that machines boot, as a CD and as a disk |
//! | `root.rs` | machines whose root file system is an image |
//!
//! There is no Joliet, whose only readers are Windows and old DOS tools: all that mounts these images is Linux, which prefers Rock
//! Ridge where both are there. Nor has a metadata CD a reader of `cidata` or `config-2`, and these mount CDs with Linux, too.
//!
//! Sources: ECMA-119; SUSP (IEEE P1281) and RRIP (IEEE P1282), version 1.12; the El Torito specification 1.0; and what Linux
//! makes of them, `fs/isofs`. Memory grows with the number of files, not with their size. The same tree makes the same bytes.

mod boot;
mod el_torito;
mod field;
mod fingerprint;
mod identifier;
mod layout;
mod record;
mod rock_ridge;
mod root;
#[cfg(test)]
mod tests;
mod volume;

use std::io;

use thiserror::Error;

pub use boot::Firmware;
pub use layout::{Later, Layout, Place};
pub(super) use root::{alone, from_disk, from_memory};
pub use volume::{Identity, Volume};

use super::bzimage::BzImageError;
use super::efi::EfiDiskError;
use super::grub::GrubError;
use crate::stage::StageError;
use crate::tree::TreeError;

/// Bytes in a sector.
pub const SECTOR: u64 = 2048;

/// Why an image cannot be made.
#[derive(Debug, Error)]
pub enum IsoError {
    /// A name that Linux would not show.
    #[error(
        "the name of {path} has {len} bytes: Linux shows names up to 253 bytes of an ISO 9660 file system; shorten it"
    )]
    Name {
        /// The file.
        path: String,
        /// The length of its name in bytes.
        len: usize,
    },
    /// A link that Linux would not follow.
    #[error("the symbolic link {path} has a target of {len} bytes: Linux reads up to 4095")]
    Link {
        /// The link.
        path: String,
        /// The length of its target in bytes.
        len: usize,
    },
    /// The path table numbers directories with 16 bits.
    #[error("{0} directories: ISO 9660 holds up to 65535; build a format with another file system")]
    Directories(usize),
    /// Sectors are numbered with 32 bits.
    #[error(
        "the image would have {} GiB, {} GiB more than the 8 TiB that ISO 9660 holds",
        .0 >> 30, (.0 - LARGEST).div_ceil(1 << 30)
    )]
    TooLarge(u64),
    /// The label has no room, or other characters.
    #[error(
        "the volume label {0:?} has more than 32 characters, or others than letters, digits, blanks and _-."
    )]
    Label(String),
    /// The tree does not hold together.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// There is no initrd that finds the image.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A file cannot be copied.
    #[error("cannot copy {path} of {origin} into the image: {source}")]
    Copy {
        /// Its path in the machine.
        path: String,
        /// Where it came from.
        origin: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel cannot be booted by a BIOS.
    #[error(transparent)]
    Kernel(#[from] BzImageError),
    /// GRUB could not be put together.
    #[error(transparent)]
    Grub(#[from] GrubError),
    /// The EFI system partition could not be made.
    #[error(transparent)]
    Efi(#[from] EfiDiskError),
    /// The image could not be written.
    #[error("cannot write the image")]
    Write(#[source] io::Error),
}

/// The largest volume in bytes.
const LARGEST: u64 = u32::MAX as u64 * SECTOR;
