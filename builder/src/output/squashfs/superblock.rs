//! The superblock.

use crate::tree::GENERATED_MTIME;

use super::BLOCK;

/// Its length in bytes.
pub(super) const LEN: usize = 96;

const MAGIC: u32 = 0x7371_7368;
const ZSTD: u16 = 6;
/// `DUPLICATES`: equal files may be stored once. Nothing reads it but tools that tell.
const DUPLICATES: u16 = 0x0040;
const NO_XATTRS: u16 = 0x0200;
const VERSION: [u16; 2] = [4, 0];
/// In the place of a table that is not there.
pub(super) const NONE: u64 = u64::MAX;

/// What it says, beyond what is the same in all that we make. Places are bytes from the start of the image.
#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) inode_count: u32,
    pub(super) fragment_count: u32,
    pub(super) owner_count: u16,
    /// A reference to the root's inode.
    pub(super) root: u64,
    /// Bytes of the image, without what it is filled up with.
    pub(super) len: u64,
    pub(super) owner_table: u64,
    pub(super) xattr_table: Option<u64>,
    pub(super) inode_table: u64,
    pub(super) directory_table: u64,
    pub(super) fragment_table: u64,
}

impl Superblock {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LEN);
        let flags = DUPLICATES | if self.xattr_table.is_none() { NO_XATTRS } else { 0 };
        // The time is the same for all: the same content is the same bytes.
        let time = u32::try_from(GENERATED_MTIME).unwrap_or(u32::MAX);
        for number in [MAGIC, self.inode_count, time, BLOCK as u32, self.fragment_count] {
            bytes.extend(number.to_le_bytes());
        }
        let log = BLOCK.trailing_zeros() as u16;
        for number in [ZSTD, log, flags, self.owner_count, VERSION[0], VERSION[1]] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [
            self.root,
            self.len,
            self.owner_table,
            self.xattr_table.unwrap_or(NONE),
            self.inode_table,
            self.directory_table,
            self.fragment_table,
            // No table for NFS servers.
            NONE,
        ] {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }
}
