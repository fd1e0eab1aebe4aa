//! Inodes, and what is in them: owners, attributes, short targets of links.

use std::collections::BTreeMap;
use std::io;

use super::{FileSystem, NO_INODE};
use crate::contents::damaged;
use crate::contents::field::{device, le16, le32, part};
use crate::contents::found::{MAX_PATH, What, check_len, what};
use crate::contents::inodes::Inode;

/// Bytes that every inode has; more are said at their beginning.
const FIXED: usize = 128;
/// Where the map of its blocks is, and its length: also a short target, or the number of a device.
pub(super) const MAP: (usize, usize) = (40, 60);
/// What extended attributes begin with.
const XATTRS: u32 = 0xEA02_0000;
/// Bytes before the entries: in the inode, in a block.
const XATTR_HEADERS: (usize, usize) = (4, 32);
/// Bytes of an attribute's entry, without its name.
const XATTR_ENTRY: usize = 16;
/// The beginnings of attributes' names, by number.
const KINDS: [(u8, &str); 6] = [
    (1, "user."),
    (2, "system.posix_acl_access"),
    (3, "system.posix_acl_default"),
    (4, "trusted."),
    (6, "security."),
    (7, "system."),
];
/// Flags: the data is in the inode itself; it is encrypted.
const INLINE: u32 = 0x1000_0000;
const ENCRYPTED: u32 = 0x800;

impl FileSystem {
    pub(super) fn numbered(&self, number: u32) -> io::Result<Inode> {
        let inode = self.inode_bytes(number)?;
        let flags = le32(&inode, 32)?;
        if flags & (INLINE | ENCRYPTED) != 0 {
            return Err(damaged("it has files within inodes, or encrypted ones, which are not read"));
        }
        let mode = u32::from(le16(&inode, 0)?);
        let size = u64::from(le32(&inode, 4)?) | u64::from(le32(&inode, 108)?) << 32;
        let map = part(&inode, MAP.0, MAP.1)?;
        let content = || self.content(map, flags, check_len(size)?);
        let device = match le32(map, 0)? {
            0 => device(le32(map, 4)?),
            old => (old >> 8 & 0xFF, old & 0xFF),
        };
        let what = what(mode, device, content, || match usize::try_from(size) {
            Ok(size) if size < MAP.1 => Ok(part(map, 0, size)?.to_vec()),
            Ok(size) if size as u64 <= MAX_PATH => content()?.start(MAX_PATH),
            _ => Err(damaged("a link's target is longer than paths can be")),
        })?;
        let names = matches!(what, What::Directory).then(content).transpose()?;
        let owner = |low: usize, high: usize| -> io::Result<u32> {
            Ok(u32::from(le16(&inode, low)?) | u32::from(le16(&inode, high)?) << 16)
        };
        let (uid, gid, links) = (owner(2, 120)?, owner(24, 122)?, le16(&inode, 26)?.into());
        Ok(Inode { what, mode: mode & 0o7777, uid, gid, links, xattrs: self.xattrs(&inode)?, names })
    }

    fn inode_bytes(&self, number: u32) -> io::Result<Vec<u8>> {
        let index = number.checked_sub(1).filter(|_| number <= self.inodes);
        let index = index.ok_or_else(|| damaged(NO_INODE))?;
        let (group, index) = (index / self.inodes_per_group, index % self.inodes_per_group);
        let group = self
            .bytes
            .read(self.groups + u64::from(group) * u64::from(self.group_size), self.group_size.into())?;
        let high = if self.group_size >= 64 { le32(&group, 40)? } else { 0 };
        let table = self.place(u64::from(le32(&group, 8)?) | u64::from(high) << 32)?;
        self.bytes.read(table + u64::from(index) * u64::from(self.inode_size), self.inode_size.into())
    }

    /// Where a block begins.
    pub(super) fn place(&self, block: u64) -> io::Result<u64> {
        let place = block.checked_mul(self.block).filter(|place| *place < self.bytes.len());
        place.ok_or_else(|| damaged("it names a block behind its end"))
    }

    /// The attributes behind the fixed part of an inode, and those in a block of their own.
    fn xattrs(&self, inode: &[u8]) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut set = BTreeMap::new();
        if inode.len() > FIXED + XATTR_HEADERS.0 {
            let area = inode.get(FIXED + usize::from(le16(inode, FIXED)?)..).unwrap_or_default();
            if le32(area, 0).is_ok_and(|magic| magic == XATTRS) {
                let values = part(area, XATTR_HEADERS.0, area.len() - XATTR_HEADERS.0)?;
                read_xattrs(values, values, &mut set)?;
            }
        }
        let block = u64::from(le32(inode, 104)?) | u64::from(le16(inode, 118)?) << 32;
        if block != 0 {
            let block = self.bytes.read(self.place(block)?, self.block as usize)?;
            if le32(&block, 0)? != XATTRS {
                return Err(damaged("a block of attributes is none"));
            }
            read_xattrs(part(&block, XATTR_HEADERS.1, block.len() - XATTR_HEADERS.1)?, &block, &mut set)?;
        }
        Ok(set)
    }
}

/// Reads entries up to one of zeros; their values are counted from the start of `values`.
fn read_xattrs(mut entries: &[u8], values: &[u8], set: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> io::Result<()> {
    while entries.len() >= XATTR_ENTRY && entries[..4] != [0; 4] {
        let (name_len, kind) = (usize::from(entries[0]), entries[1]);
        if le32(entries, 4)? != 0 {
            return Err(damaged("it has attributes in inodes of their own, which are not read"));
        }
        let value = part(values, le16(entries, 2)?.into(), le32(entries, 8)? as usize)?.to_vec();
        let known = KINDS.iter().find(|(number, _)| *number == kind);
        let (_, prefix) = known.ok_or_else(|| damaged("an attribute is of no kind that is read"))?;
        set.insert([prefix.as_bytes(), part(entries, XATTR_ENTRY, name_len)?].concat(), value);
        entries = entries.get((XATTR_ENTRY + name_len).next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}
