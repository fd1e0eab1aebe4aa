//! A root filesystem as a value: ordered, in memory, file contents by reference.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The time stamp of everything that the builder makes itself: 2017-04-18T16:30:00Z, as LinuxKit's.
pub const GENERATED_MTIME: u64 = 1_492_533_000;

/// A path inside a tree: relative, `/`-separated, without `.`, `..` or empty parts; the root is the empty path.
pub type TreePath = Vec<u8>;

/// A root filesystem. Parents sort before their children and always exist.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    entries: BTreeMap<TreePath, Node>,
}

/// One file, directory, link or device, with what the file system keeps about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is, and its content.
    pub kind: Kind,
    /// Permission bits with set-uid, set-gid and sticky; no file type.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since the epoch.
    pub mtime: u64,
    /// Extended attributes, by full name (`security.capability`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where it came from.
    pub origin: Arc<Origin>,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link and its target, as written.
    Symlink(Vec<u8>),
    /// Another name for the regular file at this path of the same tree.
    Hardlink(TreePath),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// The bytes of a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Held in memory; for what the builder makes itself.
    Bytes(Arc<[u8]>),
    /// A stretch of a verified, uncompressed file in the cache.
    Stretch {
        /// The file.
        file: Arc<PathBuf>,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
}

/// Which part of the YAML and which image a node came from (LinuxKit's PAX records).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// `LINUXKIT.source`: the image reference, or `linuxkit.files`, `linuxkit.volumes`.
    pub source: String,
    /// `LINUXKIT.location`: `kernel`, `init[0]`, `onboot[2]`, `services[1]`, `files[0]`, …
    pub location: String,
}
