//! lz4's legacy frame, as Linux unpacks it in an initrd: blocks of any length up to the end, of one frame or of several.
//!
//! Source: lz4's `doc/lz4_Frame_format.md`, "Legacy frame"; Linux, lib/decompress_unlz4.c.

use std::io::{self, Read};

use crate::contents::damaged;
use crate::output::vmlinux::lz4::{LARGEST, MAGIC, unpack};

/// Reads what is packed in `inner`, which begins with the magic number and ends with the last block.
pub(super) struct Reader<R> {
    inner: R,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, block: Vec::new(), at: 0 }
    }

    /// Unpacks the next block; says whether there is one.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut number = Vec::new();
        self.inner.by_ref().take(4).read_to_end(&mut number)?;
        let Ok(number) = <[u8; 4]>::try_from(number.as_slice()) else {
            return if number.is_empty() { Ok(false) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        };
        self.block.clear();
        self.at = 0;
        if number == MAGIC {
            return Ok(true);
        }
        let len = u32::from_le_bytes(number) as usize;
        if len == 0 || len > LARGEST {
            return Err(damaged("a block has no length that blocks have"));
        }
        let mut packed = Vec::new();
        self.inner.by_ref().take(len as u64).read_to_end(&mut packed)?;
        if packed.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        unpack(&packed, &mut self.block).map(|()| true)
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let count = (self.block.len() - self.at).min(buffer.len());
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
