//! ext2, ext3 and ext4.

use super::Content;
use super::field::{le16, le32, text, uuid};

const SUPERBLOCK: usize = 1024;
const MAGIC: u16 = 0xef53;
/// Largest `s_log_block_size`: 64 KiB.
const LARGEST_BLOCK: u32 = 6;

/// `COMPAT_HAS_JOURNAL`.
const JOURNAL: u32 = 0x4;
/// `INCOMPAT_JOURNAL_DEV`: the journal of another device.
const JOURNAL_DEVICE: u32 = 0x8;
/// What ext3 knows of the incompatible and the read-only-compatible features; all others are ext4's.
const EXT3_INCOMPATIBLE: u32 = 0x2 | 0x4 | 0x10;
const EXT3_READ_ONLY: u32 = 0x1 | 0x2 | 0x4;

/// Reads the superblock.
pub fn read(head: &[u8]) -> Option<Content> {
    let superblock = head.get(SUPERBLOCK..)?;
    if le16(superblock, 56)? != MAGIC || le32(superblock, 24)? > LARGEST_BLOCK {
        return None;
    }
    let [compatible, incompatible, read_only] =
        [le32(superblock, 92)?, le32(superblock, 96)?, le32(superblock, 100)?];
    let kind = if incompatible & JOURNAL_DEVICE != 0 {
        "jbd"
    } else if incompatible & !EXT3_INCOMPATIBLE != 0 || read_only & !EXT3_READ_ONLY != 0 {
        "ext4"
    } else if compatible & JOURNAL != 0 {
        "ext3"
    } else {
        "ext2"
    };
    Some(Content { kind, label: text(superblock, 120, 16), uuid: uuid(superblock, 104) })
}
