//! The superblock, in block 0.

use crate::crc32c::crc32c;
use crate::output::gpt::Guid;
use crate::tree::GENERATED_MTIME;

use super::BLOCK;

/// Where it begins: before it there is room for a boot sector.
const START: usize = 1024;
/// Its length in bytes.
const LEN: usize = 128;
const MAGIC: u32 = 0xE0F5_E1E2;
/// Features that a kernel need not know: the checksum, and the times of files.
const CHECKSUM_AND_TIMES: u32 = 1 | 2;
/// Of the checksum, in the superblock.
const CHECKSUM: usize = 4;

/// The block, of an image with so many inodes and blocks.
pub(super) fn bytes(inodes: u64, root: u16, blocks: u32, id: &Guid) -> Vec<u8> {
    let mut superblock = Vec::with_capacity(LEN);
    for number in [MAGIC, 0, CHECKSUM_AND_TIMES] {
        superblock.extend(number.to_le_bytes());
    }
    superblock.extend([BLOCK.trailing_zeros() as u8, 0]);
    superblock.extend(root.to_le_bytes());
    superblock.extend(inodes.to_le_bytes());
    superblock.extend(GENERATED_MTIME.to_le_bytes());
    // Nanoseconds; blocks; inodes are counted from block 0, and no attributes are shared.
    for number in [0, blocks, 0, 0] {
        superblock.extend(number.to_le_bytes());
    }
    superblock.extend(id.in_writing_order());
    let mut block = vec![0; BLOCK as usize];
    block[START..START + superblock.len()].copy_from_slice(&superblock);
    // Linux computes it without the inversion in the end.
    let sum = !crc32c(&block[START..]);
    block[START + CHECKSUM..START + CHECKSUM + 4].copy_from_slice(&sum.to_le_bytes());
    block
}
