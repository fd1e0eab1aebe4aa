//! The chunks of a sparse disk that have content, and a name made of them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use sha2::{Digest, Sha256};

/// Goes through a disk in chunks of one length and stops at those that are not all zeros. Holes are not read.
pub(super) struct Chunks<'a> {
    disk: &'a mut File,
    size: u64,
    next: u64,
    buffer: Vec<u8>,
    zeros: Vec<u8>,
}

impl<'a> Chunks<'a> {
    /// The chunks of `len` bytes of the first `size` bytes of `disk`.
    pub(super) fn of(disk: &'a mut File, size: u64, len: usize) -> Self {
        Self { disk, size, next: 0, buffer: vec![0; len], zeros: vec![0; len] }
    }

    /// The next chunk with content: its number and its bytes, with zeros behind the end of the disk.
    pub(super) fn advance(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let len = self.buffer.len() as u64;
        while let Some(from) = self.next.checked_mul(len).filter(|from| *from < self.size)
            && let Some(found) = next_data(self.disk, from)?
            && found < self.size
        {
            let number = found / len;
            let start = number * len;
            let filled = len.min(self.size - start) as usize;
            self.disk.seek(SeekFrom::Start(start))?;
            self.disk.read_exact(&mut self.buffer[..filled])?;
            self.buffer[filled..].fill(0);
            self.next = number + 1;
            if self.buffer != self.zeros {
                return Ok(Some((number, &self.buffer)));
            }
        }
        Ok(None)
    }
}

/// The offset of the next byte at or after `from` that is not in a hole of the file.
fn next_data(file: &File, from: u64) -> io::Result<Option<u64>> {
    let Ok(offset) = from.try_into() else { return Ok(None) };
    match lseek(file, offset, Whence::SeekData) {
        Ok(offset) => Ok(u64::try_from(offset).ok()),
        Err(Errno::ENXIO) => Ok(None),
        // A file system that cannot tell: everything is data.
        Err(Errno::EINVAL) => Ok((from < file.metadata()?.len()).then_some(from)),
        Err(error) => Err(error.into()),
    }
}

/// Makes an identity of a disk's content, for formats that want each disk to have one of its own. A random one would
/// make every build differ; one of the size alone would be that of every other disk, which hypervisors refuse.
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    /// That of an empty disk of `size` bytes.
    pub(super) fn of_size(size: u64) -> Self {
        Self(Sha256::new_with_prefix(size.to_le_bytes()))
    }

    /// Adds a chunk with content.
    pub(super) fn add(&mut self, number: u64, bytes: &[u8]) {
        self.0.update(number.to_le_bytes());
        self.0.update(bytes);
    }

    /// The first `N` bytes of the SHA-256, which has 32.
    pub(super) fn finish<const N: usize>(self) -> [u8; N] {
        let digest = self.0.finalize();
        std::array::from_fn(|i| digest[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_chunks_with_content_come_and_the_last_one_is_filled_with_zeros() {
        let mut disk = tempfile::tempfile().unwrap();
        disk.set_len((1 << 20) + 512).unwrap();
        for (offset, bytes) in [(0, &[0; 8192][..]), (70_000, b"a"), (1 << 20, b"b")] {
            disk.seek(SeekFrom::Start(offset)).unwrap();
            disk.write_all(bytes).unwrap();
        }
        let mut chunks = Chunks::of(&mut disk, (1 << 20) + 512, 4096);
        let (number, bytes) = chunks.advance().unwrap().unwrap();
        assert_eq!((number, bytes.len(), bytes[70_000 % 4096]), (17, 4096, b'a'));
        let (number, bytes) = chunks.advance().unwrap().unwrap();
        assert_eq!((number, bytes.len(), bytes[0]), (256, 4096, b'b'));
        assert!(chunks.advance().unwrap().is_none());
    }

    #[test]
    fn another_size_another_place_and_another_content_are_another_disk() {
        let of = |size, number, bytes| {
            let mut fingerprint = Fingerprint::of_size(size);
            fingerprint.add(number, bytes);
            fingerprint.finish::<16>()
        };
        assert_eq!(of(1, 2, b"x"), of(1, 2, b"x"));
        for other in [of(2, 2, b"x"), of(1, 3, b"x"), of(1, 2, b"y")] {
            assert_ne!(of(1, 2, b"x"), other);
        }
    }
}
