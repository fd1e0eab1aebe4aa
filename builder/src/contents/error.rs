//! Why something cannot be looked into.

use std::io;

use crate::tree::PathError;

/// Why there is no listing, or no comparison.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The file cannot be opened.
    #[error("cannot open {name}: {source}")]
    Open {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It is nothing that there is a reader for, and no archive.
    #[error(
        "{name} {source}; what can be looked into are configurations (.yml, .yaml), images by name (with a tag), as archives \
         and as directories, uncompressed tar archives, initrds, disks (raw, qcow2), CDs, EFI programs, squashfs, EROFS and ext4"
    )]
    Unknown {
        /// Its name.
        name: String,
        /// What an archive would have been otherwise.
        source: io::Error,
    },
    /// It begins like something, and is not that.
    #[error("{name} cannot be looked into: {place}: {source}")]
    Damaged {
        /// Its name.
        name: String,
        /// Where in it, and what it is there.
        place: String,
        /// What is wrong.
        source: io::Error,
    },
    /// An entry has a name that is no path.
    #[error("{name}: {source}")]
    Path {
        /// The file's name.
        name: String,
        /// Why.
        source: PathError,
    },
    /// A hard link names nothing.
    #[error("{name}: {path} is a hard link to {target}, which is no file before it")]
    Link {
        /// The file's name.
        name: String,
        /// The link.
        path: String,
        /// What it names.
        target: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path} of {name}: {source}")]
    Read {
        /// Its path.
        path: String,
        /// What it is in.
        name: String,
        /// Why.
        source: io::Error,
    },
}
