//! What the user may choose about a build, for all of its formats.

use super::Compression;

/// What the user may choose about a build, for all of its formats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Size of a disk in bytes, for formats that let the user choose it.
    pub size: u64,
    /// Where a disk has the root filesystem; without, a partition where the kernel can mount one by itself, else the initrd.
    pub root: Option<Root>,
    /// Whether such a partition is checked by dm-verity, block by block.
    pub verity: bool,
    /// How initrds are compressed; without, as small as the kernel can unpack it.
    pub compression: Option<Compression>,
}

/// Where a disk has the root filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// In the initrd, and so in memory.
    Initrd,
    /// In a partition of its own, read when it is needed.
    Partition(FileSystem),
}

/// A file system that a root can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileSystem {
    /// Compressed.
    Squashfs,
    /// Not compressed.
    Erofs,
}

impl FileSystem {
    /// The name by which Linux knows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
        }
    }
}
