//! Inodes as bytes, in the long form: the short one has no times.

use crate::output::inodes::{self, Inode};
use crate::tree::Kind;

use super::plan::Place;
use super::xattr;

/// Bytes of an inode without attributes.
pub(super) const LEN: u64 = 64;

/// In the format: the long form.
const LONG: u16 = 1;
/// In the format: data in whole blocks, and its end behind the inode.
const INLINE: u16 = 2 << 1;

/// The inode with this number of ours, which begin at 0.
pub(super) fn bytes(inode: &Inode<'_>, ours: usize, place: &Place) -> Vec<u8> {
    let node = inode.node;
    let format = LONG | if place.inline { INLINE } else { 0 };
    let data = match node.kind {
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            inodes::device_number(major, minor)
        }
        _ => place.block,
    };
    let mut bytes = Vec::with_capacity(LEN as usize);
    for number in [format, xattr::count(&node.xattrs), inodes::mode(node), 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(place.size.to_le_bytes());
    // The number is what 32-bit programs are told; it need not be that in directories.
    for number in [data, u32::try_from(ours + 1).unwrap_or(u32::MAX), node.uid, node.gid] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(node.mtime.to_le_bytes());
    for number in [0, inode.links, 0, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}
