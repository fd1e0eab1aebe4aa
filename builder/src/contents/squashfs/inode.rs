//! Inodes. Each kind has a short form, and a long one, whose number is 7 higher.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::FileSystem;
use super::content::Content;
use super::table::{Place, Stream};
use crate::contents::bytes::Bytes;
use crate::contents::damaged;
use crate::contents::field::{device, le16, le32, le64};
use crate::contents::found::{MAX_PATH, What, check_len};

/// In the place of a fragment, or of attributes, that there are not.
const NONE: u32 = u32::MAX;
/// Bytes before what the kind decides.
const HEADER: usize = 16;

/// Where the names in a directory are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory {
    pub(super) at: Place,
    /// Bytes, counting three for `.` and `..`.
    pub(super) size: u32,
}

/// What is known of an entry but for its names.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) what: What,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) number: u32,
    pub(super) links: u32,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Of a directory.
    pub(super) directory: Option<Directory>,
}

/// What the kind decides.
struct Body {
    what: What,
    links: u32,
    xattrs: u32,
    directory: Option<Directory>,
}

impl Body {
    fn of(what: What, links: u32, xattrs: u32) -> Self {
        Self { what, links, xattrs, directory: None }
    }
}

impl FileSystem {
    pub(super) fn inode(self: &Arc<Self>, place: Place) -> io::Result<Inode> {
        let mut stream = self.tables.stream(self.inodes, place);
        let header = stream.read(HEADER)?;
        let owner = |at| {
            let id = self.owners.get(usize::from(le16(&header, at)?)).copied();
            id.ok_or_else(|| damaged("an entry's owner is not in the table of owners"))
        };
        let kind = le16(&header, 0)?;
        let is_long = kind > 7;
        let body = match if is_long { kind - 7 } else { kind } {
            1 => directory(&mut stream, is_long)?,
            2 => self.file(&mut stream, is_long)?,
            3 => symlink(&mut stream, is_long)?,
            kind @ (4 | 5) => {
                let fields = stream.read(8)?;
                let number = device(le32(&fields, 4)?);
                let what = if kind == 4 { What::Disk(number) } else { What::Device(number) };
                Body::of(what, le32(&fields, 0)?, attributes(&mut stream, is_long)?)
            }
            kind @ (6 | 7) => {
                let links = le32(&stream.read(4)?, 0)?;
                let what = if kind == 6 { What::Pipe } else { What::Socket };
                Body::of(what, links, attributes(&mut stream, is_long)?)
            }
            _ => return Err(damaged("an entry is of no kind that it can be")),
        };
        let xattrs = match (&self.xattrs, body.xattrs) {
            (_, NONE) => BTreeMap::new(),
            (Some(sets), number) => sets.get(&self.tables, number)?,
            (None, _) => return Err(damaged("an entry has attributes, and there are none")),
        };
        Ok(Inode {
            what: body.what,
            mode: u32::from(le16(&header, 2)?) & 0o7777,
            uid: owner(4)?,
            gid: owner(6)?,
            number: le32(&header, 12)?,
            links: body.links,
            xattrs,
            directory: body.directory,
        })
    }

    fn file(self: &Arc<Self>, stream: &mut Stream<'_>, is_long: bool) -> io::Result<Body> {
        let (start, size, links, fragment, xattrs) = if is_long {
            let fields = stream.read(40)?;
            let number = |at| le32(&fields, at);
            let fragment = (number(28)?, number(32)?);
            (le64(&fields, 0)?, le64(&fields, 8)?, number(24)?, fragment, number(36)?)
        } else {
            let fields = stream.read(16)?;
            let number = |at| le32(&fields, at);
            (number(0)?.into(), number(12)?.into(), 1, (number(4)?, number(8)?), NONE)
        };
        let size = check_len(size)?;
        let fragment = match fragment {
            (NONE, _) => None,
            (number, offset) => {
                let found = self.fragments.get(number as usize).copied();
                let found =
                    found.ok_or_else(|| damaged("the end of a file is in a block that there is not"))?;
                Some((found, offset))
            }
        };
        let block = u64::from(self.block);
        let count = if fragment.is_some() { size / block } else { size.div_ceil(block) };
        let list = stream.read(count as usize * 4)?;
        let sizes = list.chunks_exact(4).map(|size| le32(size, 0)).collect::<io::Result<Vec<u32>>>()?;
        let content = Content::new(Arc::clone(self), start, size, &sizes, fragment)?;
        Ok(Body::of(What::File(Bytes::of(content, size)), links, xattrs))
    }
}

fn directory(stream: &mut Stream<'_>, is_long: bool) -> io::Result<Body> {
    let (links, size, block, offset, xattrs) = if is_long {
        let fields = stream.read(24)?;
        let number = |at| le32(&fields, at);
        (number(0)?, number(4)?, number(8)?, le16(&fields, 18)?, number(20)?)
    } else {
        let fields = stream.read(16)?;
        (le32(&fields, 4)?, le16(&fields, 8)?.into(), le32(&fields, 0)?, le16(&fields, 10)?, NONE)
    };
    let directory = Directory { at: Place { block: block.into(), offset }, size };
    Ok(Body { directory: Some(directory), ..Body::of(What::Directory, links, xattrs) })
}

fn symlink(stream: &mut Stream<'_>, is_long: bool) -> io::Result<Body> {
    let fields = stream.read(8)?;
    let len = le32(&fields, 4)?;
    if u64::from(len) > MAX_PATH {
        return Err(damaged("a link's target is longer than paths can be"));
    }
    let target = stream.read(len as usize)?;
    Ok(Body::of(What::Symlink(target), le32(&fields, 0)?, attributes(stream, is_long)?))
}

fn attributes(stream: &mut Stream<'_>, is_long: bool) -> io::Result<u32> {
    if is_long { le32(&stream.read(4)?, 0) } else { Ok(NONE) }
}
