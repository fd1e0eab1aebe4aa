//! ext2, ext3 and ext4, as they are after a clean unmount.
//!
//! Source: Linux, Documentation/filesystems/ext4. All numbers are little-endian.

mod extents;
mod inode;

use std::cell::Cell;
use std::io;

use super::bytes::Bytes;
use super::damaged;
use super::field::{le16, le32, part};
use super::inodes::{Inode, Inodes, walk};
use super::{Inside, Reader};

const SUPERBLOCK: u64 = 1024;
const MAGIC: u16 = 0xEF53;
/// The root's inode.
const ROOT: u64 = 2;
/// What is wrong when a directory names an inode outside of the table.
const NO_INODE: &str = "it names an inode that there is not";
/// Largest directory that is read, in bytes.
const MAX_DIRECTORY: u64 = 256 << 20;
/// Features that change how things are found, and are read: names with types, extents, 64 bits, flexible groups, seeds of
/// checksums, large directories. `RECOVER` says that the journal has more than the file system.
const KNOWN: u32 = 0x2 | 0x40 | 0x80 | 0x200 | 0x2000 | 0x4000;
const RECOVER: u32 = 0x4;
const WIDE: u32 = 0x80;
/// How often each node of a tree of extents is looked at, at most, on average.
const MOST_VISITS: u64 = 16;
/// Blocks have at most so many bytes more than 1024, as a power of two.
const MAX_BLOCK_LOG: u32 = 6;

/// Reads ext4.
#[derive(Debug)]
pub(super) struct Ext4;

impl Reader for Ext4 {
    fn called(&self) -> &'static str {
        "ext4"
    }

    fn recognises(&self, bytes: &Bytes) -> io::Result<bool> {
        let start = bytes.start(SUPERBLOCK + 64)?;
        Ok(le16(&start, SUPERBLOCK as usize + 56).is_ok_and(|magic| magic == MAGIC))
    }

    fn read(&self, bytes: &Bytes) -> io::Result<Inside> {
        Ok(Inside { files: walk(&FileSystem::open(bytes)?, ROOT)?, ..Inside::default() })
    }
}

/// An open file system. Sizes are in bytes.
struct FileSystem {
    bytes: Bytes,
    block: u64,
    inodes: u32,
    inodes_per_group: u32,
    inode_size: u16,
    /// The table of groups, and the length of an entry.
    groups: u64,
    group_size: u16,
    /// Nodes of trees of extents that may still be looked at: each has a block or an inode, which may have many names.
    nodes: Cell<u64>,
}

impl FileSystem {
    fn open(bytes: &Bytes) -> io::Result<Self> {
        let superblock = bytes.read(SUPERBLOCK, 1024)?;
        let number = |at| le32(&superblock, at);
        let is_old = number(76)? == 0;
        let features = if is_old { 0 } else { number(96)? };
        if features & RECOVER != 0 {
            return Err(damaged(
                "it was not unmounted: its journal has changes that it lacks; `e2fsck` puts them in",
            ));
        }
        if features & !KNOWN != 0 {
            return Err(damaged("it has features that are not read"));
        }
        let log = number(24)?;
        if log > MAX_BLOCK_LOG {
            return Err(damaged("its blocks have no size that blocks can have"));
        }
        let block = 1024 << log;
        let system = Self {
            bytes: bytes.clone(),
            block,
            inodes: number(0)?,
            inodes_per_group: number(40)?,
            inode_size: if is_old { 128 } else { le16(&superblock, 88)? },
            nodes: Cell::new((bytes.len() / block + u64::from(number(0)?)) * MOST_VISITS),
            groups: (u64::from(number(20)?) + 1) * block,
            group_size: if features & WIDE == 0 { 32 } else { le16(&superblock, 254)? },
        };
        let sizes = [(system.inode_size, 128..=4096), (system.group_size, 32..=1024)];
        if system.inodes_per_group == 0 || sizes.iter().any(|(size, range)| !range.contains(size)) {
            return Err(damaged("its superblock describes no file system"));
        }
        Ok(system)
    }
}

impl Inodes for FileSystem {
    fn inode(&self, number: u64) -> io::Result<Inode> {
        self.numbered(u32::try_from(number).map_err(|_| damaged(NO_INODE))?)
    }

    // What finds a name quickly looks like an entry that is not in use.
    fn listing(&self, directory: &Bytes) -> io::Result<Vec<(Vec<u8>, u64)>> {
        /// Bytes of an entry without its name.
        const ENTRY: usize = 8;
        if directory.len() > MAX_DIRECTORY {
            return Err(damaged("a directory is larger than any real one"));
        }
        let bytes = directory.start(MAX_DIRECTORY)?;
        let mut names = Vec::new();
        for block in bytes.chunks(self.block as usize) {
            let mut at = 0;
            while at < block.len() {
                let header = part(block, at, ENTRY)?;
                // 65536 has no room in 16 bits.
                let len = match le16(header, 4)? {
                    0 | u16::MAX => block.len() - at,
                    len => len.into(),
                };
                if len < ENTRY {
                    return Err(damaged("an entry of a directory is shorter than entries are"));
                }
                let number = le32(header, 0)?;
                let name = part(block, at + ENTRY, header[6].into())?;
                if number != 0 && !matches!(name, b"." | b"..") {
                    names.push((name.to_vec(), number.into()));
                }
                at += len;
            }
        }
        Ok(names)
    }
}
