//! Btrfs.

use super::Content;
use super::field::{is_at, text, uuid};

const SUPERBLOCK: usize = 64 * 1024;

/// Reads the superblock.
pub fn read(head: &[u8]) -> Option<Content> {
    let superblock = head.get(SUPERBLOCK..)?;
    is_at(superblock, 64, b"_BHRfS_M").then(|| Content {
        kind: "btrfs",
        label: text(superblock, 299, 256),
        uuid: uuid(superblock, 32),
    })
}
