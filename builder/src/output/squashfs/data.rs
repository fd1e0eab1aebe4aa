//! The data of files.
//!
//! A file of a block or more has blocks of its own. Smaller ones share blocks, which squashfs calls fragments: they compress
//! better, and neighbours are read together. Files that are equal are stored once.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::image::Digest;
use crate::output::OutputError;
use crate::output::hashed_file::HashedFile;
use crate::output::inodes::Inodes;
use crate::tree::{Content, Kind};

use super::compress::{Block, Queue};
use super::{BLOCK, copy_error};

/// In a block's length: it is stored as it is.
const STORED: u32 = 1 << 24;

/// Where a file's data is.
#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    /// Where the first block begins.
    pub(super) start: u64,
    /// The lengths of its blocks, with the flag; 0 is a block of zeros.
    pub(super) blocks: Vec<u32>,
    /// Bytes of zeros that are not stored.
    pub(super) sparse: u64,
    /// Its block among the fragments, and the offset in it.
    pub(super) fragment: Option<(u32, u32)>,
}

/// A block of small files: where it begins, and its length with the flag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment {
    start: u64,
    len: u32,
}

/// The table of fragments.
pub(super) fn fragment_entries(fragments: &[Fragment]) -> Vec<u8> {
    let entry = |fragment: &Fragment| {
        let mut entry = [0; 16];
        entry[..8].copy_from_slice(&fragment.start.to_le_bytes());
        entry[8..12].copy_from_slice(&fragment.len.to_le_bytes());
        entry
    };
    fragments.iter().flat_map(entry).collect()
}

/// Whose block it is.
enum Purpose {
    /// A file's, of so many bytes.
    File(usize, u64),
    Fragments,
}

/// Writes all data, compressed on so many cores. Returns where that of each inode is, and the blocks of small files.
pub(super) fn write(
    inodes: &Inodes<'_>,
    out: &mut HashedFile<'_>,
    path: &Path,
    cores: usize,
) -> Result<(Vec<Stored>, Vec<Fragment>), OutputError> {
    let same = equal_files(inodes)?;
    Queue::run(cores, |queue| {
        let failed = |source: io::Error| OutputError::io("write", path)(source);
        let mut writer = Writer {
            out,
            queue,
            stored: vec![Stored::default(); inodes.len()],
            fragments: Vec::new(),
            open: Vec::with_capacity(BLOCK),
            queued: 0,
        };
        for (number, inode) in inodes.iter() {
            let Kind::File(content) = &inode.node.kind else { continue };
            if same.contains_key(&number) {
                continue;
            }
            let len = content.len();
            if len >= BLOCK as u64 {
                let mut reader = content.reader();
                let mut left = len;
                while left > 0 {
                    let now = left.min(BLOCK as u64);
                    let block = read(&mut reader, now).map_err(copy_error(inode))?;
                    writer.add(Purpose::File(number, now), block).map_err(failed)?;
                    left -= now;
                }
            } else if len > 0 {
                let bytes = read(&mut content.reader(), len).map_err(copy_error(inode))?;
                writer.add_small(number, &bytes).map_err(failed)?;
            }
        }
        writer.close_fragment().map_err(failed)?;
        while writer.write_one().map_err(failed)? {}
        let (mut stored, fragments) = (writer.stored, writer.fragments);
        for (copy, first) in same {
            stored[copy] = stored[first].clone();
        }
        Ok((stored, fragments))
    })
}

fn read(reader: &mut dyn Read, len: u64) -> io::Result<Vec<u8>> {
    let mut block = vec![0; len as usize];
    reader.read_exact(&mut block)?;
    Ok(block)
}

struct Writer<'a, 'f> {
    out: &'a mut HashedFile<'f>,
    queue: &'a mut Queue<Purpose>,
    stored: Vec<Stored>,
    fragments: Vec<Fragment>,
    /// The block of small files that is being filled.
    open: Vec<u8>,
    /// Blocks of small files that were filled.
    queued: u32,
}

impl Writer<'_, '_> {
    fn add(&mut self, purpose: Purpose, block: Vec<u8>) -> io::Result<()> {
        while self.queue.full() {
            self.write_one()?;
        }
        // A block that files share must be there, whatever is in it.
        let sparse = matches!(purpose, Purpose::File(..));
        self.queue.add(purpose, block, sparse)
    }

    fn add_small(&mut self, number: usize, bytes: &[u8]) -> io::Result<()> {
        if self.open.len() + bytes.len() > BLOCK {
            self.close_fragment()?;
        }
        self.stored[number].fragment = Some((self.queued, self.open.len() as u32));
        self.open.extend(bytes);
        Ok(())
    }

    fn close_fragment(&mut self) -> io::Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.open, Vec::with_capacity(BLOCK));
        self.queued = self.queued.checked_add(1).ok_or(io::ErrorKind::FileTooLarge)?;
        self.add(Purpose::Fragments, block)
    }

    /// Writes the oldest block that is under way; whether there was one.
    fn write_one(&mut self) -> io::Result<bool> {
        let Some((purpose, block)) = self.queue.take()? else { return Ok(false) };
        let start = self.out.position();
        let (bytes, flag) = match &block {
            Block::Compressed(bytes) => (&bytes[..], 0),
            Block::Stored(bytes) => (&bytes[..], STORED),
            Block::Zeros => (&[][..], 0),
        };
        self.out.write_all(bytes)?;
        // No block is larger than squashfs allows, 1 MiB.
        let len = bytes.len() as u32 | flag;
        match purpose {
            Purpose::File(number, unpacked) => {
                let stored = &mut self.stored[number];
                if stored.blocks.is_empty() {
                    stored.start = start;
                }
                stored.blocks.push(len);
                if matches!(block, Block::Zeros) {
                    stored.sparse += unpacked;
                }
            }
            Purpose::Fragments => self.fragments.push(Fragment { start, len }),
        }
        Ok(true)
    }
}

/// Files whose content an earlier one has, each with that one. Only those of one length are read.
fn equal_files(inodes: &Inodes<'_>) -> Result<HashMap<usize, usize>, OutputError> {
    let mut lengths: HashMap<u64, Vec<(usize, &Content)>> = HashMap::new();
    for (number, inode) in inodes.iter() {
        if let Kind::File(content) = &inode.node.kind
            && !content.is_empty()
        {
            lengths.entry(content.len()).or_default().push((number, content));
        }
    }
    let mut same = HashMap::new();
    for files in lengths.into_values().filter(|files| files.len() > 1) {
        let mut first: HashMap<Digest, usize> = HashMap::new();
        for (number, content) in files {
            let digest = content.digest().map_err(copy_error(inodes.get(number)))?;
            let earliest = *first.entry(digest).or_insert(number);
            if earliest != number {
                same.insert(number, earliest);
            }
        }
    }
    Ok(same)
}
