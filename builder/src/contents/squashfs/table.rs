//! Blocks of 8 KiB, each packed on its own, in which everything lies that is no data.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::contents::bytes::Bytes;
use crate::contents::damaged;
use crate::contents::field::{le16, le64};

/// Bytes of a block before it is packed.
const LEN: usize = 8192;
/// In a block's length: it is stored as it is.
const STORED: u16 = 0x8000;
/// Longest list that is read at once, in bytes.
const MAX_LIST: u64 = 64 << 20;

/// How blocks are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    pub(super) fn of(number: u16) -> io::Result<Self> {
        match number {
            1 => Ok(Self::Gzip),
            6 => Ok(Self::Zstd),
            _ => Err(damaged("it is packed with something else than zstd and gzip, which alone are read")),
        }
    }

    /// Unpacks a block that has so many bytes at most.
    pub(super) fn unpack(self, packed: &[u8], most: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::decompress(packed, most),
            Self::Gzip => {
                let mut block = Vec::new();
                flate2::read::ZlibDecoder::new(packed).take(most as u64 + 1).read_to_end(&mut block)?;
                match block.len() <= most {
                    true => Ok(block),
                    false => Err(damaged("a block is larger than blocks are")),
                }
            }
        }
    }
}

/// Where something lies: its block, in bytes from the start of the first one, and its offset in the unpacked block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: u64,
    pub(super) offset: u16,
}

impl Place {
    /// From the one number that the superblock and the table of attributes have.
    pub(super) fn of(reference: u64) -> Self {
        Self { block: reference >> 16, offset: (reference & 0xFFFF) as u16 }
    }
}

/// A block that was unpacked: its content, and where the next one begins.
type Block = (Arc<Vec<u8>>, u64);

/// The blocks of an image.
pub(super) struct Tables {
    pub(super) bytes: Bytes,
    pub(super) packing: Packing,
    /// The last two, by where they begin: inodes and directories are read in turn.
    recent: Mutex<Vec<(u64, Block)>>,
}

impl Tables {
    pub(super) fn new(bytes: Bytes, packing: Packing) -> Self {
        Self { bytes, packing, recent: Mutex::default() }
    }

    /// The block that begins at a byte of the image.
    fn block(&self, at: u64) -> io::Result<Block> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, block)) = recent.iter().find(|(known, _)| *known == at) {
            return Ok(block.clone());
        }
        let header = le16(&self.bytes.read(at, 2)?, 0)?;
        let len = usize::from(header & !STORED);
        if len == 0 || len > LEN {
            return Err(damaged("a block of a table has no length that it can have"));
        }
        let packed = self.bytes.read(at + 2, len)?;
        let block = if header & STORED == 0 { self.packing.unpack(&packed, LEN)? } else { packed };
        let block = (Arc::new(block), at + 2 + len as u64);
        recent.truncate(1);
        recent.insert(0, (at, block.clone()));
        Ok(block)
    }

    /// Reads from a place on, of blocks of which the first begins at `table`.
    pub(super) fn stream(&self, table: u64, place: Place) -> Stream<'_> {
        Stream { tables: self, next: table.checked_add(place.block), skip: place.offset.into(), rest: None }
    }

    /// The entries of a table that has `len` bytes, by the list of its blocks.
    pub(super) fn lookup(&self, list: u64, len: u64) -> io::Result<Vec<u8>> {
        if len > MAX_LIST {
            return Err(damaged("a table has too many entries"));
        }
        let blocks = len.div_ceil(LEN as u64);
        let list = self.bytes.read(list, blocks as usize * 8)?;
        let mut entries = Vec::new();
        for start in list.chunks_exact(8) {
            entries.extend_from_slice(&self.block(le64(start, 0)?)?.0);
        }
        if entries.len() as u64 != len {
            return Err(damaged("a table has not the length that it should have"));
        }
        Ok(entries)
    }
}

/// Bytes across blocks.
pub(super) struct Stream<'a> {
    tables: &'a Tables,
    /// Where the next block begins.
    next: Option<u64>,
    /// Bytes of the first block that come before.
    skip: usize,
    /// What was unpacked last, and how much of it has been read.
    rest: Option<(Arc<Vec<u8>>, usize)>,
}

impl Stream<'_> {
    /// The next bytes.
    pub(super) fn read(&mut self, len: usize) -> io::Result<Vec<u8>> {
        if len as u64 > MAX_LIST {
            return Err(damaged("a list is longer than any real one"));
        }
        let mut bytes = Vec::new();
        while bytes.len() < len {
            if self.rest.as_ref().is_none_or(|(block, at)| *at >= block.len()) {
                let at = self.next.ok_or_else(|| damaged("it names bytes behind its end"))?;
                let (block, next) = self.tables.block(at)?;
                if block.is_empty() {
                    return Err(damaged("a block of a table is empty"));
                }
                self.next = Some(next);
                if self.skip >= block.len() {
                    return Err(damaged("it names bytes behind the end of a block"));
                }
                self.rest = Some((block, std::mem::take(&mut self.skip)));
            }
            let Some((block, at)) = &mut self.rest else { continue };
            let now = (block.len() - *at).min(len - bytes.len());
            bytes.extend_from_slice(&block[*at..*at + now]);
            *at += now;
        }
        Ok(bytes)
    }
}
