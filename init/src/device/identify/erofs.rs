//! EROFS.

use super::Content;
use super::field::{le32, text, uuid};

const SUPERBLOCK: usize = 1024;
const MAGIC: u32 = 0xe0f5_e1e2;

/// Reads the superblock.
pub fn read(head: &[u8]) -> Option<Content> {
    let superblock = head.get(SUPERBLOCK..)?;
    let block_bits = superblock.get(12)?;
    (le32(superblock, 0)? == MAGIC && (9..=16).contains(block_bits)).then(|| Content {
        kind: "erofs",
        label: text(superblock, 64, 16),
        uuid: uuid(superblock, 48),
    })
}
