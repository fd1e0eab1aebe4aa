//! The DOS partition table, as far as partitions are named by it.

use crate::device::identify::{le16, le32};

/// Bytes of the boot sector; tables are in the first 512 whatever the size of sectors is.
pub const SECTOR: usize = 512;
const ENTRIES: usize = 446;
const ENTRY: usize = 16;
/// The type that says: this disk has a GPT.
const PROTECTIVE: u8 = 0xee;

/// The disk's signature, if the sector holds a partition table.
///
/// A file system's boot sector ends in the same two bytes; where its entries would be it has code or text, and there the
/// kernel too asks that each begins with 0 or 0x80 (block/partitions/msdos.c).
pub fn signature(boot: &[u8]) -> Option<u32> {
    let is_table = le16(boot, 510)? == 0xaa55
        && entries(boot).all(|entry| matches!(entry.first(), Some(0 | 0x80)))
        && entries(boot).any(|entry| entry.get(4).is_some_and(|kind| *kind != 0));
    is_table.then(|| le32(boot, 440)).flatten()
}

/// Whether the table only protects a GPT.
pub fn is_protective(boot: &[u8]) -> bool {
    entries(boot).any(|entry| entry.get(4) == Some(&PROTECTIVE))
}

fn entries(boot: &[u8]) -> impl Iterator<Item = &[u8]> {
    boot.get(ENTRIES..ENTRIES + 4 * ENTRY).unwrap_or_default().chunks_exact(ENTRY)
}
