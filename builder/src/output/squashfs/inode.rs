//! Inodes as bytes. Each kind has a short form, and a long one for what that cannot say.

use std::collections::BTreeMap;
use std::io;

use crate::output::inodes::{self, Inode, Inodes};
use crate::tree::{Kind, Node};

use super::data::Stored;
use super::directory::too_many;
use super::table::Place;

/// What the long form's number is higher.
const LONG: u16 = 7;
/// In the place of a number of attributes, or of a fragment, that there is not.
const NONE: u32 = u32::MAX;
/// A directory's size counts `.` and `..`, which are in no listing.
const DOTS: usize = 3;

/// An inode but for its header: its kind, and what follows.
pub(super) type Body = (u16, Vec<u8>);

/// The kind, in its short form; directories name it, too.
pub(super) fn kind(node: &Node) -> u16 {
    match node.kind {
        Kind::Directory => 1,
        Kind::File(_) | Kind::Hardlink(_) => 2,
        Kind::Symlink(_) => 3,
        Kind::BlockDevice { .. } => 4,
        Kind::CharDevice { .. } => 5,
        Kind::Fifo => 6,
    }
}

/// The number under which Linux knows an inode; ours begin at 0, and those of files at 1.
pub(super) fn number(ours: usize) -> io::Result<u32> {
    u32::try_from(ours + 1).map_err(|_| too_many())
}

/// Users and groups, in one table.
pub(super) struct Owners(BTreeMap<u32, u16>);

impl Owners {
    /// # Errors
    /// When there are more than can be numbered; says by how many.
    pub(super) fn of(inodes: &Inodes<'_>) -> Result<Self, String> {
        let all = inodes.iter().flat_map(|(_, inode)| [inode.node.uid, inode.node.gid]);
        let mut numbers: BTreeMap<u32, u16> = all.map(|id| (id, 0)).collect();
        let count = numbers.len();
        if u16::try_from(count).is_err() {
            return Err(format!("its files have {count} users and groups, and {} are possible", u16::MAX));
        }
        for (number, slot) in (0..).zip(numbers.values_mut()) {
            *slot = number;
        }
        Ok(Self(numbers))
    }

    pub(super) fn count(&self) -> u16 {
        self.0.len() as u16
    }

    /// The table.
    pub(super) fn entries(&self) -> Vec<u8> {
        self.0.keys().flat_map(|id| id.to_le_bytes()).collect()
    }

    fn number(&self, id: u32) -> u16 {
        self.0.get(&id).copied().unwrap_or_default()
    }
}

/// The whole inode.
pub(super) fn with_header(
    inode: &Inode<'_>,
    ours: usize,
    owners: &Owners,
    (kind, body): &Body,
) -> io::Result<Vec<u8>> {
    let node = inode.node;
    let mut bytes = Vec::with_capacity(16 + body.len());
    // The kind says what the file type would.
    for number in [*kind, inodes::mode(node) & 0o7777, owners.number(node.uid), owners.number(node.gid)] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(u32::try_from(node.mtime).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(number(ours)?.to_le_bytes());
    bytes.extend(body);
    Ok(bytes)
}

/// A directory with a listing of `len` bytes at a place, in a tree of `count` inodes.
pub(super) fn directory(
    inode: &Inode<'_>,
    at: Place,
    len: usize,
    count: usize,
    attributes: Option<u32>,
) -> io::Result<Body> {
    let size = u32::try_from(len + DOTS).map_err(|_| too_many())?;
    let block = u32::try_from(at.block).map_err(|_| too_many())?;
    // The root's parent is nowhere in the image.
    let parent = number(if inode.path.is_empty() { count } else { inode.parent })?;
    let mut bytes = Vec::with_capacity(24);
    match (u16::try_from(size), attributes) {
        (Ok(size), None) => {
            put(&mut bytes, &[block, inode.links]);
            bytes.extend(size.to_le_bytes());
            bytes.extend(at.offset.to_le_bytes());
            put(&mut bytes, &[parent]);
            Ok((kind(inode.node), bytes))
        }
        _ => {
            put(&mut bytes, &[inode.links, size, block, parent]);
            // No index.
            bytes.extend(0_u16.to_le_bytes());
            bytes.extend(at.offset.to_le_bytes());
            put(&mut bytes, &[attributes.unwrap_or(NONE)]);
            Ok((kind(inode.node) + LONG, bytes))
        }
    }
}

/// Anything but a directory.
pub(super) fn other(inode: &Inode<'_>, stored: &Stored, attributes: Option<u32>) -> io::Result<Body> {
    let mut bytes = Vec::new();
    match &inode.node.kind {
        Kind::File(content) => return Ok(file(inode, content.len(), stored, attributes)),
        Kind::Symlink(target) => {
            let len = u32::try_from(target.len()).map_err(|_| too_many())?;
            put(&mut bytes, &[inode.links, len]);
            bytes.extend(target);
        }
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            put(&mut bytes, &[inode.links, inodes::device_number(*major, *minor)]);
        }
        _ => put(&mut bytes, &[inode.links]),
    }
    let kind = kind(inode.node);
    Ok(match attributes {
        None => (kind, bytes),
        Some(attributes) => {
            put(&mut bytes, &[attributes]);
            (kind + LONG, bytes)
        }
    })
}

fn file(inode: &Inode<'_>, size: u64, stored: &Stored, attributes: Option<u32>) -> Body {
    let (fragment, offset) = stored.fragment.unwrap_or((NONE, 0));
    let mut bytes = Vec::with_capacity(40 + 4 * stored.blocks.len());
    let short = (u32::try_from(stored.start), u32::try_from(size));
    let kind = match (short, attributes) {
        ((Ok(start), Ok(size)), None) if inode.links == 1 && stored.sparse == 0 => {
            put(&mut bytes, &[start, fragment, offset, size]);
            kind(inode.node)
        }
        _ => {
            for number in [stored.start, size, stored.sparse] {
                bytes.extend(number.to_le_bytes());
            }
            put(&mut bytes, &[inode.links, fragment, offset, attributes.unwrap_or(NONE)]);
            kind(inode.node) + LONG
        }
    };
    put(&mut bytes, &stored.blocks);
    (kind, bytes)
}

fn put(bytes: &mut Vec<u8>, numbers: &[u32]) {
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}
