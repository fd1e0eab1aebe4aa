//! squashfs 4.0, packed with zstd or gzip.
//!
//! Source: Linux, Documentation/filesystems/squashfs.rst and fs/squashfs/squashfs_fs.h. All numbers are little-endian.

mod content;
mod inode;
mod table;
mod xattr;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::bytes::Bytes;
use super::damaged;
use super::field::{le16, le32, le64, part};
use super::found::{Found, Gathered, What, below};
use super::{Inside, Reader};
use inode::{Directory, Inode};
use table::{Packing, Place, Tables};

const MAGIC: &[u8] = b"hsqs";
/// Bytes of the superblock.
const SUPERBLOCK: u64 = 96;
/// In the place of a table that is not there.
const NONE: u64 = u64::MAX;

/// Reads squashfs.
#[derive(Debug)]
pub(super) struct Squashfs;

impl Reader for Squashfs {
    fn called(&self) -> &'static str {
        "squashfs"
    }

    fn recognises(&self, bytes: &Bytes) -> io::Result<bool> {
        Ok(bytes.start(4)? == MAGIC)
    }

    fn read(&self, bytes: &Bytes) -> io::Result<Inside> {
        let system = Arc::new(FileSystem::open(bytes)?);
        let mut gathered = Gathered::default();
        system.walk(&mut gathered)?;
        Ok(Inside { files: gathered.finish(), ..Inside::default() })
    }
}

/// An open file system.
struct FileSystem {
    tables: Tables,
    block: u32,
    inodes: u64,
    directories: u64,
    fragments: Vec<Fragment>,
    owners: Vec<u32>,
    xattrs: Option<xattr::Sets>,
    root: Place,
    unpacked: content::Unpacked,
}

/// A block that has the ends of several files.
#[derive(Debug, Clone, Copy)]
struct Fragment {
    start: u64,
    /// With the bit that says that it is stored as it is.
    size: u32,
}

impl FileSystem {
    fn open(bytes: &Bytes) -> io::Result<Self> {
        let superblock = bytes.read(0, SUPERBLOCK as usize)?;
        let number = |at| le64(&superblock, at);
        if (le16(&superblock, 28)?, le16(&superblock, 30)?) != (4, 0) {
            return Err(damaged("it is of another version than 4.0"));
        }
        let block = le32(&superblock, 12)?;
        if !block.is_power_of_two() || !(4096..=1 << 20).contains(&block) {
            return Err(damaged("its blocks have no size that blocks can have"));
        }
        let tables = Tables::new(bytes.clone(), Packing::of(le16(&superblock, 20)?)?);
        let fragments = match le32(&superblock, 16)? {
            0 => Vec::new(),
            count => tables.lookup(number(80)?, u64::from(count) * 16)?,
        };
        let fragments = fragments
            .chunks_exact(16)
            .map(|entry| Ok(Fragment { start: le64(entry, 0)?, size: le32(entry, 8)? }));
        let owners = tables.lookup(number(48)?, u64::from(le16(&superblock, 26)?) * 4)?;
        let xattrs = match number(56)? {
            NONE => None,
            at => xattr::Sets::read(&tables, at)?,
        };
        Ok(Self {
            block,
            inodes: number(64)?,
            directories: number(72)?,
            fragments: fragments.collect::<io::Result<_>>()?,
            owners: owners.chunks_exact(4).map(|id| le32(id, 0)).collect::<io::Result<_>>()?,
            xattrs,
            root: Place::of(number(32)?),
            tables,
            unpacked: content::Unpacked::default(),
        })
    }

    /// Every entry, directories before what is in them.
    fn walk(self: &Arc<Self>, gathered: &mut Gathered) -> io::Result<()> {
        // Of each file with several names, the first.
        let mut names: HashMap<u32, Vec<u8>> = HashMap::new();
        let mut open: Vec<(Vec<u8>, Directory)> = Vec::new();
        let root = self.inode(self.root)?;
        let Some(directory) = root.directory else { return Err(damaged("its root is no directory")) };
        gathered.enter(root.number.into(), directory.size.into())?;
        open.push((Vec::new(), directory));
        while let Some((path, directory)) = open.pop() {
            for (name, place) in self.listing(&directory)? {
                let inode = self.inode(place)?;
                let path = below(&path, &name)?;
                if let Some(directory) = inode.directory {
                    gathered.enter(inode.number.into(), directory.size.into())?;
                    open.push((path.clone(), directory));
                }
                let link_to = match (&inode.what, inode.links) {
                    (What::Directory, _) | (_, 0 | 1) => None,
                    _ => match names.get(&inode.number) {
                        Some(first) => Some(first.clone()),
                        None => {
                            names.insert(inode.number, path.clone());
                            None
                        }
                    },
                };
                let Inode { what, mode, uid, gid, xattrs, .. } = inode;
                gathered.add(Found { path, what, mode, uid, gid, xattrs, link_to })?;
            }
        }
        Ok(())
    }

    /// The names in a directory, each with where its inode is.
    fn listing(&self, directory: &Directory) -> io::Result<Vec<(Vec<u8>, Place)>> {
        /// Bytes of a header, of an entry without its name.
        const LENGTHS: (usize, usize) = (12, 8);
        // It counts `.` and `..`, which it does not have.
        let Some(size) = directory.size.checked_sub(3).filter(|size| *size > 0) else {
            return Ok(Vec::new());
        };
        let mut stream = self.tables.stream(self.directories, directory.at);
        let bytes = stream.read(size as usize)?;
        let (mut at, mut names) = (0, Vec::new());
        while at < bytes.len() {
            let header = part(&bytes, at, LENGTHS.0)?;
            at += LENGTHS.0;
            let (count, block) = (le32(header, 0)?, le32(header, 4)?);
            if count >= 256 {
                return Err(damaged("a directory has more entries behind a header than it may"));
            }
            for _ in 0..=count {
                let entry = part(&bytes, at, LENGTHS.1)?;
                let len = usize::from(le16(entry, 6)?) + 1;
                let name = part(&bytes, at + LENGTHS.1, len)?.to_vec();
                names.push((name, Place { block: block.into(), offset: le16(entry, 0)? }));
                at += LENGTHS.1 + len;
            }
        }
        Ok(names)
    }
}
