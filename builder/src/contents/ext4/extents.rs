//! Where the blocks of a file are: in a tree of extents, or, as ext2 has it, in lists of blocks.

use std::io;

use super::FileSystem;
use super::inode::MAP;
use crate::contents::bytes::Bytes;
use crate::contents::damaged;
use crate::contents::field::{le16, le32, part};

/// Of an inode: it has a tree of extents.
const EXTENTS: u32 = 0x8_0000;
/// What each node of the tree begins with, and bytes of its header and of its entries.
const MAGIC: u16 = 0xF30A;
const ENTRY: usize = 12;
/// Most levels of the tree.
const MAX_DEPTH: u16 = 5;
/// Longest extent that holds data; longer ones are reserved, and read as zeros.
const MAX_INITIALISED: u64 = 32_768;
/// Blocks that the inode itself lists; then come lists of blocks, lists of lists, and lists of those.
const DIRECT: usize = 12;
/// Most pieces of a file.
const MAX_PIECES: usize = 4 << 20;

/// The pieces of a file, in order, without gaps.
struct Pieces {
    block: u64,
    /// Bytes of the file that there is a place for, or that are a gap.
    len: u64,
    size: u64,
    found: Vec<(Option<u64>, u64)>,
}

impl Pieces {
    /// Adds `count` blocks that begin at block `logical` of the file; without a place they are zeros.
    fn add(&mut self, logical: u64, place: Option<u64>, count: u64) -> io::Result<()> {
        let start = logical * self.block;
        if start < self.len || self.found.len() >= MAX_PIECES {
            return Err(damaged("a file has the same block twice, or more pieces than any real one"));
        }
        let gap = start.min(self.size) - self.len.min(self.size);
        let len = (count * self.block).min(self.size.saturating_sub(start));
        self.found.extend([(None, gap), (place, len)].into_iter().filter(|(_, len)| *len > 0));
        self.len = start + count * self.block;
        Ok(())
    }
}

impl FileSystem {
    /// The content of a file with this map of its blocks.
    pub(super) fn content(&self, map: &[u8], flags: u32, size: u64) -> io::Result<Bytes> {
        let mut pieces = Pieces { block: self.block, len: 0, size, found: Vec::new() };
        if flags & EXTENTS != 0 {
            self.extents(map, MAX_DEPTH + 1, &mut pieces)?;
        } else {
            self.listed(map, &mut pieces)?;
        }
        let rest = size.saturating_sub(pieces.len);
        pieces.found.push((None, rest));
        self.bytes.gather(pieces.found)
    }

    /// A node of a tree of extents, whose depth is less than that of its parent.
    fn extents(&self, node: &[u8], above: u16, pieces: &mut Pieces) -> io::Result<()> {
        let (count, depth) = (usize::from(le16(node, 2)?), le16(node, 6)?);
        if le16(node, 0)? != MAGIC || depth >= above {
            return Err(damaged("a tree of extents is none"));
        }
        let left = self.nodes.get().checked_sub(1);
        self.nodes.set(left.ok_or_else(|| damaged("trees of extents are larger than all there is"))?);
        for number in 1..=count {
            let entry = part(node, number * ENTRY, ENTRY)?;
            if depth > 0 {
                let child = u64::from(le32(entry, 4)?) | u64::from(le16(entry, 8)?) << 32;
                let child = self.bytes.read(self.place(child)?, self.block as usize)?;
                self.extents(&child, depth, pieces)?;
                continue;
            }
            let (first, len) = (u64::from(le32(entry, 0)?), u64::from(le16(entry, 4)?));
            let place = u64::from(le32(entry, 8)?) | u64::from(le16(entry, 6)?) << 32;
            match len {
                0 => return Err(damaged("an extent has no length")),
                1..=MAX_INITIALISED => pieces.add(first, Some(self.place(place)?), len)?,
                _ => pieces.add(first, None, len - MAX_INITIALISED)?,
            }
        }
        Ok(())
    }

    /// Lists of blocks.
    fn listed(&self, map: &[u8], pieces: &mut Pieces) -> io::Result<()> {
        let mut next = 0;
        for number in 0..MAP.1 / 4 {
            let level = number.saturating_sub(DIRECT - 1) as u32;
            self.list(le32(map, number * 4)?, level, &mut next, pieces)?;
        }
        Ok(())
    }

    /// A block of a file, or a list of such, or of lists: `level` of them. A block that is not there is zeros.
    fn list(&self, block: u32, level: u32, next: &mut u64, pieces: &mut Pieces) -> io::Result<()> {
        let per_list = self.block / 4;
        if *next * self.block >= pieces.size {
            return Ok(());
        }
        if block == 0 {
            *next = next.saturating_add(per_list.saturating_pow(level));
            return Ok(());
        }
        let place = self.place(block.into())?;
        if level == 0 {
            pieces.add(*next, Some(place), 1)?;
            *next += 1;
            return Ok(());
        }
        let list = self.bytes.read(place, self.block as usize)?;
        for entry in list.chunks_exact(4) {
            self.list(le32(entry, 0)?, level - 1, next, pieces)?;
        }
        Ok(())
    }
}
