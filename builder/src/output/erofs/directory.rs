//! Directories: blocks of entries, then their names. Names are in the order of their bytes, `.` and `..` among them.

use crate::output::inodes::{Inode, Inodes};
use crate::tree::Kind;

use super::BLOCK;

/// Bytes of an entry without its name.
const ENTRY: u64 = 12;

/// Length of a directory's data in bytes; the last block ends with its last name.
pub(super) fn len(directory: &Inode<'_>) -> u64 {
    let names = names(directory, 0);
    let blocks = split(&names);
    let last = blocks.last().map_or(0, |block| block.iter().map(|(name, _)| ENTRY + name.len() as u64).sum());
    blocks.len().saturating_sub(1) as u64 * BLOCK + last
}

/// The data of the directory with this number; `place` says under which number an inode is known.
pub(super) fn bytes(inodes: &Inodes<'_>, number: usize, place: impl Fn(usize) -> u64) -> Vec<u8> {
    let names = names(inodes.get(number), number);
    let mut bytes = Vec::new();
    for block in split(&names) {
        bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
        let mut offset = block.len() as u64 * ENTRY;
        for (name, inode) in block {
            bytes.extend(place(*inode).to_le_bytes());
            // Within a block.
            bytes.extend((offset as u16).to_le_bytes());
            bytes.extend([kind(&inodes.get(*inode).node.kind), 0]);
            offset += name.len() as u64;
        }
        bytes.extend(block.iter().flat_map(|(name, _)| *name));
    }
    bytes
}

/// All names, in order, each with its inode.
fn names<'a>(directory: &Inode<'a>, number: usize) -> Vec<(&'a [u8], usize)> {
    let mut names = directory.children.clone();
    names.extend([(&b"."[..], number), (b"..", directory.parent)]);
    names.sort_unstable();
    names
}

/// The names of each block: as many as fit.
fn split<'n, 'a>(names: &'n [(&'a [u8], usize)]) -> Vec<&'n [(&'a [u8], usize)]> {
    let mut blocks = Vec::new();
    let mut left = names;
    while !left.is_empty() {
        let mut used = 0;
        let mut fits = |name: &[u8]| {
            used += ENTRY + name.len() as u64;
            used <= BLOCK
        };
        let (block, rest) = left.split_at(left.iter().take_while(|(name, _)| fits(name)).count());
        blocks.push(block);
        left = rest;
    }
    blocks
}

fn kind(kind: &Kind) -> u8 {
    match kind {
        Kind::File(_) | Kind::Hardlink(_) => 1,
        Kind::Directory => 2,
        Kind::CharDevice { .. } => 3,
        Kind::BlockDevice { .. } => 4,
        Kind::Fifo => 5,
        Kind::Symlink(_) => 7,
    }
}
