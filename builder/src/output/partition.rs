//! A partition as a stretch of a disk image that stays sparse.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Blocks of this size are remembered as written or not; that of common host file systems.
const BLOCK: u64 = 4096;
const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// A stretch of a file of zeros, with its own position. Zeros are not written where nothing else has been.
#[derive(Debug)]
pub struct Partition<'a> {
    disk: &'a mut File,
    start: u64,
    len: u64,
    position: u64,
    written: Vec<bool>,
}

impl<'a> Partition<'a> {
    /// The `len` bytes of `disk` from `start`, a multiple of 4096. They must read as zeros, and belong to the file.
    pub fn new(disk: &'a mut File, start: u64, len: u64) -> Self {
        let blocks = usize::try_from(len.div_ceil(BLOCK)).unwrap_or(usize::MAX);
        Self { disk, start, len, position: 0, written: vec![false; blocks] }
    }

    /// The bytes from here to the end of the block or of the partition, `wanted` at most.
    fn here(&self, wanted: usize) -> usize {
        let in_block = BLOCK - self.position % BLOCK;
        let left = self.len.saturating_sub(self.position);
        usize::try_from(in_block.min(left)).map_or(wanted, |len| len.min(wanted))
    }

    /// The first bytes of `buffer` that are to be treated alike: all skipped as zeros, or all written.
    fn run(&self, buffer: &[u8]) -> (usize, bool) {
        let mut at = 0;
        let mut skipping = None;
        while at < buffer.len() && self.position + (at as u64) < self.len {
            let position = self.position + at as u64;
            let end = buffer.len().min(at + (BLOCK - position % BLOCK) as usize);
            let end = end.min(at + (self.len - position) as usize);
            let skip = !self.written[(position / BLOCK) as usize] && buffer[at..end] == ZEROS[..end - at];
            if *skipping.get_or_insert(skip) != skip {
                break;
            }
            at = end;
        }
        (at, skipping.unwrap_or(false))
    }
}

impl Read for Partition<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.here(buffer.len());
        self.disk.seek(SeekFrom::Start(self.start + self.position))?;
        let count = self.disk.read(&mut buffer[..len])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Partition<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (len, skip) = self.run(buffer);
        if !skip && len > 0 {
            self.disk.seek(SeekFrom::Start(self.start + self.position))?;
            self.disk.write_all(&buffer[..len])?;
            let last = (self.position + len as u64 - 1) / BLOCK;
            self.written[(self.position / BLOCK) as usize..=last as usize].fill(true);
        }
        self.position += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.disk.flush()
    }
}

impl Seek for Partition<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "seek before the start of the partition")
        })?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn zeros_are_holes_until_something_was_there() {
        let mut disk = tempfile::tempfile().unwrap();
        disk.set_len(1 << 20).unwrap();
        let mut partition = Partition::new(&mut disk, 8192, 512 << 10);
        partition.write_all(&[0; 100_000]).unwrap();
        partition.seek(SeekFrom::Start(50_000)).unwrap();
        partition.write_all(b"here").unwrap();
        partition.seek(SeekFrom::Start(50_001)).unwrap();
        partition.write_all(&[0; 2]).unwrap();
        partition.seek(SeekFrom::Start(49_999)).unwrap();
        let mut back = [1; 6];
        partition.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"\0h\0\0e\0");
        assert!(disk.metadata().unwrap().blocks() * 512 <= 2 * BLOCK, "one block is allocated");
    }

    #[test]
    fn content_between_zeros_arrives_whole() {
        let mut disk = tempfile::tempfile().unwrap();
        disk.set_len(1 << 20).unwrap();
        let mut content = vec![0; 40_000];
        content[4_095..4_097].copy_from_slice(b"ab");
        content[39_999] = b'c';
        let mut partition = Partition::new(&mut disk, 4096, 100_000);
        partition.seek(SeekFrom::Start(1_000)).unwrap();
        partition.write_all(&content).unwrap();
        partition.seek(SeekFrom::Start(1_000)).unwrap();
        let mut back = vec![1; content.len()];
        partition.read_exact(&mut back).unwrap();
        assert_eq!(back, content);
    }

    #[test]
    fn nothing_is_written_beyond_the_end() {
        let mut disk = tempfile::tempfile().unwrap();
        disk.set_len(1 << 20).unwrap();
        let mut partition = Partition::new(&mut disk, 0, 5_000);
        partition.seek(SeekFrom::Start(4_990)).unwrap();
        assert_eq!(partition.write_all(&[1; 20]).unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert_eq!(partition.seek(SeekFrom::End(0)).unwrap(), 5_000);
        let mut disk_content = vec![0; 6_000];
        disk.seek(SeekFrom::Start(0)).unwrap();
        disk.read_exact(&mut disk_content).unwrap();
        assert!(disk_content[5_000..].iter().all(|b| *b == 0));
    }
}
