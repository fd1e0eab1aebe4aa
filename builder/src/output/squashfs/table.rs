//! Blocks of 8 KiB, each compressed on its own, in which everything lies that is no data; and tables of such blocks.

use std::io::{self, Write};

use super::compress::Compressor;
use crate::output::hashed_file::HashedFile;

/// Bytes of a block before it is compressed.
const LEN: usize = 8192;
/// In a block's length: it is stored as it is.
const STORED: u16 = 0x8000;

/// Where something lies: its block, in bytes from the start of the first one, and its offset in the unpacked block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: u64,
    pub(super) offset: u16,
}

impl Place {
    /// In one number, as the superblock and the table of attributes have it.
    pub(super) fn reference(self) -> u64 {
        self.block << 16 | u64::from(self.offset)
    }
}

/// Blocks that are being filled.
pub(super) struct Blocks {
    done: Vec<u8>,
    /// Of each finished block: where it begins.
    starts: Vec<u64>,
    /// Never full.
    open: Vec<u8>,
    compressor: Compressor,
}

impl Blocks {
    pub(super) fn new() -> io::Result<Self> {
        let compressor = Compressor::new()?;
        Ok(Self { done: Vec::new(), starts: Vec::new(), open: Vec::with_capacity(LEN), compressor })
    }

    /// Where the next byte goes.
    pub(super) fn place(&self) -> Place {
        Place { block: self.done.len() as u64, offset: self.open.len() as u16 }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(LEN - self.open.len()));
            self.open.extend(now);
            bytes = rest;
            if self.open.len() == LEN {
                self.close()?;
            }
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.starts.push(self.done.len() as u64);
        let compressed = self.compressor.smaller(&self.open)?;
        let (bytes, flag) = match &compressed {
            Some(bytes) => (bytes, 0),
            None => (&self.open, STORED),
        };
        // No block is larger than 8192.
        self.done.extend((bytes.len() as u16 | flag).to_le_bytes());
        self.done.extend(bytes);
        self.open.clear();
        Ok(())
    }

    /// All blocks, one after another.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        self.finish_with_starts().map(|(bytes, _)| bytes)
    }

    /// Also where each block begins.
    pub(super) fn finish_with_starts(mut self) -> io::Result<(Vec<u8>, Vec<u64>)> {
        if !self.open.is_empty() {
            self.close()?;
        }
        Ok((self.done, self.starts))
    }
}

/// Writes a table of entries that are found by their number, and behind it the list of its blocks, with what comes before the
/// list. Returns where that is.
pub(super) fn lookup_table(out: &mut HashedFile<'_>, entries: &[u8], header: &[u8]) -> io::Result<u64> {
    let mut blocks = Blocks::new()?;
    blocks.push(entries)?;
    let (bytes, starts) = blocks.finish_with_starts()?;
    let first = out.position();
    out.write_all(&bytes)?;
    let list = out.position();
    out.write_all(header)?;
    for start in starts {
        out.write_all(&(first + start).to_le_bytes())?;
    }
    Ok(list)
}
