//! The content of files: blocks that are packed each on its own, and an end that shares a block with other ends.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::{FileSystem, Fragment};
use crate::contents::damaged;
use crate::image::ReadAt;

/// In a block's size: it is stored as it is.
const STORED: u32 = 1 << 24;

/// The block that was unpacked last, by where it begins.
#[derive(Default)]
pub(super) struct Unpacked(Mutex<Option<(u64, Arc<Vec<u8>>)>>);

impl FileSystem {
    /// The block that begins at a byte of the image.
    fn data(&self, start: u64, size: u32) -> io::Result<Arc<Vec<u8>>> {
        let mut recent = self.unpacked.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, block)) = &*recent
            && *known == start
        {
            return Ok(Arc::clone(block));
        }
        let len = size & !STORED;
        if len > self.block {
            return Err(damaged("a block is larger than blocks are"));
        }
        let packed = self.tables.bytes.read(start, len as usize)?;
        let block = match size & STORED {
            0 => self.tables.packing.unpack(&packed, self.block as usize)?,
            _ => packed,
        };
        let block = Arc::new(block);
        *recent = Some((start, Arc::clone(&block)));
        Ok(block)
    }
}

/// The content of a file.
pub(super) struct Content {
    system: Arc<FileSystem>,
    size: u64,
    /// Where each begins, and its size; a block of zeros has none.
    blocks: Vec<(u64, u32)>,
    fragment: Option<(Fragment, u32)>,
}

impl Content {
    pub(super) fn new(
        system: Arc<FileSystem>,
        start: u64,
        size: u64,
        sizes: &[u32],
        fragment: Option<(Fragment, u32)>,
    ) -> io::Result<Self> {
        let mut at = start;
        let mut blocks = Vec::with_capacity(sizes.len());
        for size in sizes {
            blocks.push((at, *size));
            at = at
                .checked_add(u64::from(size & !STORED))
                .ok_or_else(|| damaged("it names bytes behind its end"))?;
        }
        Ok(Self { system, size, blocks, fragment })
    }

    /// Bytes of the block with this number, from an offset in it on.
    fn read_block(&self, number: u64, offset: usize, buffer: &mut [u8]) -> io::Result<()> {
        let (block, offset) = match self.blocks.get(number as usize) {
            Some((_, size)) if size & !STORED == 0 => {
                buffer.fill(0);
                return Ok(());
            }
            Some((start, size)) => (self.system.data(*start, *size)?, offset),
            None => {
                let (fragment, begin) = self.fragment.ok_or(io::ErrorKind::UnexpectedEof)?;
                (self.system.data(fragment.start, fragment.size)?, offset + begin as usize)
            }
        };
        let part = block.get(offset..offset + buffer.len());
        buffer.copy_from_slice(part.ok_or_else(|| damaged("a block is shorter than what is in it"))?);
        Ok(())
    }
}

impl ReadAt for Content {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let size = u64::from(self.system.block);
        let (mut at, mut left) = (offset, buffer);
        while !left.is_empty() {
            let within = at % size;
            let count = (size - within).min(left.len() as u64) as usize;
            let (now, rest) = left.split_at_mut(count);
            self.read_block(at / size, within as usize, now)?;
            (at, left) = (at + count as u64, rest);
        }
        Ok(())
    }
}
