//! Bytes that are read at any place: a file, a part of one, pieces of one, or what is unpacked from one.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use crate::image::{Digest, Hashing, ReadAt};

use super::damaged;

/// What bytes come from.
type Source = Arc<dyn ReadAt + Send + Sync>;

/// Bytes that are read at any place.
#[derive(Clone)]
pub struct Bytes {
    source: Source,
    /// In order, without gaps.
    runs: Arc<[Run]>,
    len: u64,
}

/// Bytes that lie one after another in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Where they are in the whole.
    at: u64,
    /// Where they are in the source; `None` are zeros.
    from: Option<u64>,
    len: u64,
}

impl Bytes {
    /// All of a source, which has so many bytes.
    pub(super) fn of(source: impl ReadAt + Send + Sync + 'static, len: u64) -> Self {
        Self { source: Arc::new(source), runs: [Run { at: 0, from: Some(0), len }].into(), len }
    }

    /// All of a file.
    pub(super) fn of_file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self::of(file, len))
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of them.
    ///
    /// # Errors
    /// When it does not lie in them.
    pub(super) fn slice(&self, offset: u64, len: u64) -> io::Result<Self> {
        self.gather([(Some(offset), len)])
    }

    /// Parts of them, one behind the other; a part without an offset is zeros.
    ///
    /// # Errors
    /// When one does not lie in them.
    pub(super) fn gather(&self, pieces: impl IntoIterator<Item = (Option<u64>, u64)>) -> io::Result<Self> {
        let mut runs: Vec<Run> = Vec::new();
        let mut at = 0_u64;
        let mut push = |from: Option<u64>, len: u64| {
            match runs.last_mut() {
                Some(last) if last.from.map(|start| start.saturating_add(last.len)) == from => {
                    last.len += len
                }
                _ => runs.push(Run { at, from, len }),
            }
            at += len;
        };
        let mut total = 0_u64;
        for (from, len) in pieces {
            total = total.checked_add(len).ok_or_else(|| damaged("its parts are larger than any file"))?;
            match from {
                None => push(None, len),
                Some(start) => {
                    let end = start.checked_add(len).filter(|end| *end <= self.len);
                    let end = end.ok_or_else(|| damaged("it names bytes behind its end"))?;
                    self.runs_of(start, end).for_each(|(from, len)| push(from, len));
                }
            }
        }
        Ok(Self { source: Arc::clone(&self.source), runs: runs.into(), len: total })
    }

    /// The pieces of the source from a byte up to another one.
    fn runs_of(&self, start: u64, end: u64) -> impl Iterator<Item = (Option<u64>, u64)> {
        let first = self.runs.partition_point(|run| run.at + run.len <= start);
        self.runs.iter().skip(first).take_while(move |run| run.at < end).map(move |run| {
            let begin = run.at.max(start);
            let len = (run.at + run.len).min(end) - begin;
            (run.from.map(|from| from + (begin - run.at)), len)
        })
    }

    /// Whether both are the same pieces of the same source.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.source), Arc::as_ptr(&other.source)) && self.runs == other.runs
    }

    /// So many bytes from a place on.
    ///
    /// # Errors
    /// When there are fewer, or they cannot be read.
    pub(super) fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(damaged("it names bytes behind its end"));
        }
        let mut bytes = vec![0; len];
        self.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// The first bytes, at most so many.
    pub(super) fn start(&self, most: u64) -> io::Result<Vec<u8>> {
        self.read(0, self.len.min(most) as usize)
    }

    /// From the start on.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { bytes: self, at: 0 }
    }

    /// Whether all of them are zeros.
    pub(super) fn is_zeros(&self) -> io::Result<bool> {
        let mut chunk = vec![0; 64 << 10];
        let mut reader = self.reader();
        loop {
            match reader.read(&mut chunk)? {
                0 => return Ok(true),
                count if chunk[..count].iter().any(|byte| *byte != 0) => return Ok(false),
                _ => {}
            }
        }
    }

    /// The digest of all of them.
    pub(super) fn digest(&self) -> io::Result<Digest> {
        let mut hashing = Hashing::new(io::sink());
        io::copy(&mut io::BufReader::with_capacity(256 << 10, self.reader()), &mut hashing)?;
        Ok(hashing.finish().1)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytes").field("len", &self.len).finish_non_exhaustive()
    }
}

impl ReadAt for Bytes {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.len);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut left = buffer;
        for (from, len) in self.runs_of(offset, end) {
            let (now, rest) = left.split_at_mut(len as usize);
            match from {
                Some(from) => self.source.read_exact_at(now, from)?,
                None => now.fill(0),
            }
            left = rest;
        }
        Ok(())
    }
}

/// Reads bytes one after another.
pub(super) struct Reader<'a> {
    bytes: &'a Bytes,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (self.bytes.len - self.at).min(buffer.len() as u64) as usize;
        self.bytes.read_exact_at(&mut buffer[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &Bytes) -> String {
        let mut text = String::new();
        bytes.reader().read_to_string(&mut text).unwrap();
        text
    }

    fn alphabet() -> Bytes {
        let letters: Arc<[u8]> = b"abcdefghijklmnopqrstuvwxyz".as_slice().into();
        Bytes::of(crate::tree::Content::Bytes(letters), 26)
    }

    #[test]
    fn parts_of_parts_are_parts_of_the_whole() {
        let whole = alphabet();
        let gathered = whole.gather([(Some(3), 3), (None, 2), (Some(24), 2), (Some(0), 1)]).unwrap();
        assert_eq!(text(&gathered), "def\0\0yza");
        let part = gathered.slice(1, 6).unwrap();
        assert_eq!(text(&part), "ef\0\0yz");
        assert_eq!(part.read(3, 2).unwrap(), b"\0y");
        assert!(part.is_same(&whole.gather([(Some(4), 1), (Some(5), 1), (None, 2), (Some(24), 2)]).unwrap()));
        assert!(!part.is_same(&whole.slice(4, 6).unwrap()) && !whole.is_same(&alphabet()));
        assert!(gathered.slice(3, 2).unwrap().is_zeros().unwrap() && !gathered.is_zeros().unwrap());
    }

    #[test]
    fn what_is_behind_the_end_is_an_error() {
        let whole = alphabet();
        for (offset, len) in [(0, 27), (26, 1), (u64::MAX, 1), (1, u64::MAX)] {
            assert!(whole.slice(offset, len).is_err(), "{offset} {len}");
        }
        assert!(whole.slice(26, 0).unwrap().is_empty());
        assert!(whole.read(20, 7).is_err() && whole.read(u64::MAX, 2).is_err());
        assert!(whole.gather([(None, u64::MAX), (None, 1)]).is_err());
    }
}
