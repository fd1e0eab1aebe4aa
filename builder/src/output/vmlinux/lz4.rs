//! lz4's legacy format, which the kernel's build uses (`lz4 -l`), and nothing else does.
//!
//! Blocks, each with its length, none with a check sum. Source: lz4's `doc/lz4_Frame_format.md`, "Legacy frame", and
//! `doc/lz4_Block_format.md`.

use std::io::{self, Read};

/// What a frame begins with.
pub(crate) const MAGIC: [u8; 4] = [0x02, 0x21, 0x4C, 0x18];
/// Bytes of a block before it was packed.
const BLOCK: usize = 8 << 20;
/// The most that such a block has when it cannot be packed.
pub(crate) const LARGEST: usize = BLOCK + BLOCK / 255 + 16;
/// The shortest match.
const MATCH: usize = 4;

/// Reads what is packed in `inner`, which begins with the magic number.
pub(super) struct Reader<R> {
    inner: R,
    block: Vec<u8>,
    at: usize,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Start,
    Blocks,
    End,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, block: Vec::new(), at: 0, state: State::Start }
    }

    /// Reads a number; `None` at the end of the file. The last block may be followed by less than a number.
    fn number(&mut self) -> io::Result<Option<[u8; 4]>> {
        let mut bytes = Vec::new();
        self.inner.by_ref().take(4).read_to_end(&mut bytes)?;
        Ok(bytes.try_into().ok())
    }

    fn next_block(&mut self) -> io::Result<()> {
        if self.state == State::Start {
            if self.number()? != Some(MAGIC) {
                return Err(damaged("no magic number"));
            }
            self.state = State::Blocks;
        }
        // All blocks but the last are full; behind that one may be anything, such as the length of the whole.
        let is_last = !self.block.is_empty() && self.block.len() < BLOCK;
        let len = if is_last { None } else { self.number()? };
        self.block.clear();
        self.at = 0;
        let Some(len) = len.map(u32::from_le_bytes) else {
            self.state = State::End;
            return Ok(());
        };
        if len as usize > LARGEST {
            self.state = State::End;
            return Ok(());
        }
        let mut packed = Vec::new();
        self.inner.by_ref().take(len.into()).read_to_end(&mut packed)?;
        if packed.is_empty() {
            // What followed a full last block was no length of another one.
            self.state = State::End;
            return Ok(());
        }
        if packed.len() < len as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        unpack(&packed, &mut self.block)?;
        if self.block.is_empty() {
            self.state = State::End;
        }
        Ok(())
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() && self.state != State::End {
            self.next_block()?;
        }
        let len = (self.block.len() - self.at).min(buffer.len());
        buffer[..len].copy_from_slice(&self.block[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

/// Unpacks one block: literals, and copies of what came before, in turn.
pub(crate) fn unpack(mut packed: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let token = byte(&mut packed)?;
        let literals = length(token >> 4, &mut packed)?;
        let (bytes, rest) =
            packed.split_at_checked(literals).ok_or_else(|| damaged("literals behind the end"))?;
        out.extend(bytes);
        packed = rest;
        // The last sequence has literals only.
        if packed.is_empty() {
            return if out.len() > BLOCK { Err(damaged("a block of more than 8 MiB")) } else { Ok(()) };
        }
        let distance = usize::from(u16::from_le_bytes([byte(&mut packed)?, byte(&mut packed)?]));
        let len = length(token & 15, &mut packed)? + MATCH;
        let from = out.len().checked_sub(distance).filter(|_| distance > 0);
        let from = from.ok_or_else(|| damaged("a copy of what is before the start"))?;
        if out.len() + len > BLOCK {
            return Err(damaged("a block of more than 8 MiB"));
        }
        // A copy may go on in what it writes.
        for at in from..from + len {
            out.push(out[at]);
        }
    }
}

/// A length whose first four bits are in the token.
fn length(start: u8, packed: &mut &[u8]) -> io::Result<usize> {
    let mut len = usize::from(start);
    if start == 15 {
        loop {
            let more = byte(packed)?;
            len += usize::from(more);
            if more < 255 {
                break;
            }
        }
    }
    Ok(len)
}

fn byte(packed: &mut &[u8]) -> io::Result<u8> {
    let (first, rest) = packed.split_first().ok_or_else(|| damaged("a block that ends early"))?;
    *packed = rest;
    Ok(*first)
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("damaged lz4: {what}"))
}
