//! What a tree is made of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Content, TreePath};

/// The time stamp of everything that the builder makes itself: 2017-04-18T16:30:00Z, as LinuxKit's.
pub const GENERATED_MTIME: u64 = 1_492_533_000;

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
    /// Another name for the regular file at this path of the same tree, which sorts before this one. Mode, owner,
    /// time and attributes are the file's.
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

/// Which part of the YAML and which image a node came from (LinuxKit's PAX records).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Which item of the YAML.
    pub location: Location,
    /// `LINUXKIT.source`: the image reference, or `linuxkit.files`, `linuxkit.volumes`.
    pub source: String,
}

/// `LINUXKIT.location`: an item of the YAML. They sort in the order in which LinuxKit writes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// `kernel`.
    #[default]
    Kernel,
    /// `init[0]`, …
    Init(usize),
    /// `volume[0]`, …
    Volume(usize),
    /// `onboot[0]`, …
    Onboot(usize),
    /// `onshutdown[0]`, …
    Onshutdown(usize),
    /// `services[0]`, …
    Service(usize),
    /// `files[0]`, …
    File(usize),
    /// The bill of materials, which is about all the others.
    Sbom,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel => f.write_str("kernel"),
            Self::Init(i) => write!(f, "init[{i}]"),
            Self::Volume(i) => write!(f, "volume[{i}]"),
            Self::Onboot(i) => write!(f, "onboot[{i}]"),
            Self::Onshutdown(i) => write!(f, "onshutdown[{i}]"),
            Self::Service(i) => write!(f, "services[{i}]"),
            Self::File(i) => write!(f, "files[{i}]"),
            Self::Sbom => f.write_str("sbom"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.location, self.source)
    }
}

impl Node {
    /// Something that the builder makes itself: owned by root, with the fixed time stamp.
    #[must_use]
    pub fn generated(kind: Kind, mode: u32, origin: &Arc<Origin>) -> Self {
        Self {
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: GENERATED_MTIME,
            xattrs: BTreeMap::new(),
            origin: Arc::clone(origin),
        }
    }

    /// A directory with mode 0755.
    #[must_use]
    pub fn directory(origin: &Arc<Origin>) -> Self {
        Self::generated(Kind::Directory, 0o755, origin)
    }

    /// A regular file that the builder makes itself.
    #[must_use]
    pub fn file(content: impl Into<Content>, mode: u32, origin: &Arc<Origin>) -> Self {
        Self::generated(Kind::File(content.into()), mode, origin)
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(target: &[u8], origin: &Arc<Origin>) -> Self {
        Self::generated(Kind::Symlink(target.to_vec()), 0o777, origin)
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }
}
