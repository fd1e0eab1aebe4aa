//! A file that is written from front to back, with a digest of what is in it, and its head last.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use crate::image::Hashing;

use super::gpt::Guid;

/// Zeros, to fill up with.
const ZEROS: [u8; 4096] = [0; 4096];

/// A file whose first bytes are known when all others are written.
pub(super) struct HashedFile<'a> {
    out: Hashing<BufWriter<&'a mut File>>,
    head: u64,
}

impl<'a> HashedFile<'a> {
    /// Writes over `file`, whose former content is lost; `head` bytes are left out at its start.
    pub(super) fn new(file: &'a mut File, head: u64) -> io::Result<Self> {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(head))?;
        Ok(Self { out: Hashing::new(BufWriter::with_capacity(1 << 20, file)), head })
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> u64 {
        self.head + self.out.len()
    }

    /// Fills up with zeros to a multiple of `unit` bytes.
    pub(super) fn pad(&mut self, unit: u64) -> io::Result<()> {
        let mut left = self.position().next_multiple_of(unit) - self.position();
        while left > 0 {
            let now = left.min(ZEROS.len() as u64);
            self.out.write_all(&ZEROS[..now as usize])?;
            left -= now;
        }
        Ok(())
    }

    /// Writes the head, which is made from an identity of the rest: its digest. Returns that, and the length in bytes.
    pub(super) fn finish(self, head: impl FnOnce(&Guid) -> Vec<u8>) -> io::Result<(Guid, u64)> {
        let len = self.position();
        let (mut out, digest, _) = self.out.finish();
        out.flush()?;
        let id = Guid::of_digest(digest.bytes());
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&head(&id))?;
        Ok((id, len))
    }
}

impl Write for HashedFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
