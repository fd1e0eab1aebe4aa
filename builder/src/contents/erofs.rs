//! EROFS, as far as it is not compressed.
//!
//! Source: Linux, Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h. All numbers are little-endian.

use std::collections::BTreeMap;
use std::io;

use super::bytes::Bytes;
use super::damaged;
use super::field::{device, le16, le32, le64, part};
use super::found::{MAX_PATH, What, check_len, what};
use super::inodes::{Inode, Inodes, walk};
use super::{Inside, Reader};

const SUPERBLOCK: u64 = 1024;
const MAGIC: u32 = 0xE0F5_E1E2;
/// Inodes are numbered by where they are, in units of so many bytes.
const SLOT: u64 = 32;
/// Bytes of an entry of a directory, without its name.
const ENTRY: usize = 12;
/// Largest directory that is read, in bytes.
const MAX_DIRECTORY: u64 = 256 << 20;
/// What comes before an inode's attributes.
const XATTR_HEADER: usize = 12;
/// The beginnings of attributes' names, by number.
const KINDS: [(u8, &str); 5] = [
    (1, "user."),
    (2, "system.posix_acl_access"),
    (3, "system.posix_acl_default"),
    (4, "trusted."),
    (6, "security."),
];

/// Reads EROFS.
#[derive(Debug)]
pub(super) struct Erofs;

impl Reader for Erofs {
    fn called(&self) -> &'static str {
        "EROFS"
    }

    fn recognises(&self, bytes: &Bytes) -> io::Result<bool> {
        let start = bytes.start(SUPERBLOCK + 4)?;
        Ok(le32(&start, SUPERBLOCK as usize).is_ok_and(|magic| magic == MAGIC))
    }

    fn read(&self, bytes: &Bytes) -> io::Result<Inside> {
        let system = FileSystem::open(bytes)?;
        Ok(Inside { files: walk(&system, system.root)?, ..Inside::default() })
    }
}

struct FileSystem {
    bytes: Bytes,
    block: u64,
    /// The byte from which inodes are counted, and the one from which shared attributes are.
    inodes: u64,
    shared: u64,
    root: u64,
}

impl Inodes for FileSystem {
    fn inode(&self, number: u64) -> io::Result<Inode> {
        let outside = || damaged("it names an inode behind its end");
        let at = number.checked_mul(SLOT).and_then(|at| at.checked_add(self.inodes)).ok_or_else(outside)?;
        let format = le16(&self.bytes.read(at, 2)?, 0)?;
        let is_long = format & 1 == 1;
        let inode = self.bytes.read(at, if is_long { 64 } else { 32 })?;
        let mode = u32::from(le16(&inode, 4)?);
        let data = le32(&inode, 16)?;
        let (size, uid, gid, links) = if is_long {
            (le64(&inode, 8)?, le32(&inode, 24)?, le32(&inode, 28)?, le32(&inode, 44)?)
        } else {
            let (uid, gid) = (le16(&inode, 24)?.into(), le16(&inode, 26)?.into());
            (le32(&inode, 8)?.into(), uid, gid, le16(&inode, 6)?.into())
        };
        let units = u64::from(le16(&inode, 2)?);
        let xattrs_at = at + inode.len() as u64;
        let xattrs_len = if units == 0 { 0 } else { XATTR_HEADER as u64 + (units - 1) * 4 };
        let content = || self.data(format >> 1 & 7, data, check_len(size)?, xattrs_at + xattrs_len);
        let what = what(mode, device(data), content, || {
            if size > MAX_PATH {
                return Err(damaged("a link's target is longer than paths can be"));
            }
            content().and_then(|bytes| bytes.start(size))
        })?;
        let names = match &what {
            What::Directory if size > MAX_DIRECTORY => {
                return Err(damaged("a directory is larger than any real one"));
            }
            What::Directory => Some(content()?),
            _ => None,
        };
        let xattrs = self.xattrs(&self.bytes.read(xattrs_at, xattrs_len as usize)?)?;
        Ok(Inode { what, mode: mode & 0o7777, uid, gid, links, xattrs, names })
    }

    fn listing(&self, directory: &Bytes) -> io::Result<Vec<(Vec<u8>, u64)>> {
        let mut names = Vec::new();
        let mut at = 0;
        while at < directory.len() {
            let len = (directory.len() - at).min(self.block);
            let block = directory.read(at, len as usize)?;
            // The first name is behind the last entry.
            let first = usize::from(le16(&block, 8)?);
            let count = first / ENTRY;
            if first % ENTRY != 0 || count == 0 {
                return Err(damaged("a directory is not what directories are"));
            }
            for entry in 0..count {
                let begin = usize::from(le16(&block, entry * ENTRY + 8)?);
                let end = match entry + 1 == count {
                    true => block.len(),
                    false => le16(&block, (entry + 1) * ENTRY + 8)?.into(),
                };
                let name = part(&block, begin, end.saturating_sub(begin))?;
                // The last name of a block ends with the block or at a NUL.
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                if !matches!(name, b"." | b"..") {
                    names.push((name.to_vec(), le64(&block, entry * ENTRY)?));
                }
            }
            at += len;
        }
        Ok(names)
    }
}

impl FileSystem {
    fn open(bytes: &Bytes) -> io::Result<Self> {
        let superblock = bytes.read(SUPERBLOCK, 128)?;
        let bits = superblock.get(12).copied().unwrap_or_default();
        if !(9..=16).contains(&bits) {
            return Err(damaged("its blocks have no size that blocks can have"));
        }
        let block = 1 << bits;
        Ok(Self {
            bytes: bytes.clone(),
            block,
            inodes: u64::from(le32(&superblock, 40)?) * block,
            shared: u64::from(le32(&superblock, 44)?) * block,
            root: le16(&superblock, 14)?.into(),
        })
    }

    /// The data of an inode whose first block is this; what is behind the inode begins at `tail`.
    fn data(&self, layout: u16, first: u32, size: u64, tail: u64) -> io::Result<Bytes> {
        let start = u64::from(first) * self.block;
        match layout {
            0 if size == 0 => self.bytes.slice(0, 0),
            0 => self.bytes.slice(start, size),
            2 => {
                let whole = size / self.block * self.block;
                let start = if whole == 0 { 0 } else { start };
                self.bytes.gather([(Some(start), whole), (Some(tail), size - whole)])
            }
            _ => Err(damaged("it has compressed or scattered files, which are not read")),
        }
    }

    /// The attributes behind an inode: those of its own, and those that it shares.
    fn xattrs(&self, area: &[u8]) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut set = BTreeMap::new();
        if area.is_empty() {
            return Ok(set);
        }
        let shared = usize::from(area.get(4).copied().unwrap_or_default());
        let mut at = XATTR_HEADER;
        for _ in 0..shared {
            let place = u64::from(le32(area, at)?) * 4;
            at += 4;
            let place = place.saturating_add(self.shared);
            let header = self.bytes.read(place, 4)?;
            let len =
                4 + usize::from(header.first().copied().unwrap_or_default()) + usize::from(le16(&header, 2)?);
            let entry = self.bytes.read(place, len)?;
            let (name, value, _) = xattr(&entry)?;
            set.insert(name, value);
        }
        while let Some(rest) = area.get(at..).filter(|rest| rest.len() >= 4 && rest[..4] != [0; 4]) {
            let (name, value, len) = xattr(rest)?;
            set.insert(name, value);
            at += len.next_multiple_of(4);
        }
        Ok(set)
    }
}

/// The attribute that bytes begin with, and the length of its entry.
fn xattr(bytes: &[u8]) -> io::Result<(Vec<u8>, Vec<u8>, usize)> {
    let header = part(bytes, 0, 4)?;
    let (len, value_len) = (usize::from(header[0]), usize::from(le16(header, 2)?));
    let kind = KINDS.iter().find(|(number, _)| *number == header[1]);
    let (_, prefix) = kind.ok_or_else(|| damaged("an attribute is of no kind that is read"))?;
    let name = [prefix.as_bytes(), part(bytes, 4, len)?].concat();
    Ok((name, part(bytes, 4 + len, value_len)?.to_vec(), 4 + len + value_len))
}
