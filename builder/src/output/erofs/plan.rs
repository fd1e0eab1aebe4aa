//! Where everything will lie.

use crate::output::inodes::{Inode, Inodes};
use crate::tree::Kind;

use super::{BLOCK, SLOT, directory, inode, xattr};

/// The end of a file's data goes behind its inode when both are in one block. So much room of a block is given up for that, at
/// most; a longer end gets a block of its own.
const MOST_GIVEN_UP: u64 = BLOCK / 2;
/// The superblock has 16 bits for the number of the root's inode; it comes first, in block 1.
const FIRST: u64 = BLOCK;

/// Where an inode and its data lie; in bytes, but for blocks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// The inode's first byte.
    pub(super) inode: u64,
    /// Length of its data.
    pub(super) size: u64,
    /// Whether the data's last bytes follow the inode.
    pub(super) inline: bool,
    /// The first of its blocks of data, if it has any.
    pub(super) block: u32,
}

impl Place {
    /// The number under which directories name it.
    pub(super) fn number(&self) -> u64 {
        self.inode / SLOT
    }

    /// Bytes of data that are in blocks.
    pub(super) fn whole(&self) -> u64 {
        if self.inline { self.size / BLOCK * BLOCK } else { self.size }
    }
}

/// The places of all inodes.
#[derive(Debug)]
pub(super) struct Plan {
    places: Vec<Place>,
    blocks: u32,
}

impl Plan {
    pub(super) fn place(&self, number: usize) -> &Place {
        &self.places[number]
    }

    /// The number of the root's inode.
    pub(super) fn root(&self) -> u16 {
        (FIRST / SLOT) as u16
    }

    /// Blocks of the whole image.
    pub(super) fn blocks(&self) -> u32 {
        self.blocks
    }
}

/// # Errors
/// When the image would have more blocks than can be numbered; says by how many.
pub(super) fn plan(inodes: &Inodes<'_>) -> Result<Plan, String> {
    let mut places = Vec::with_capacity(inodes.len());
    let mut at = FIRST;
    for (_, inode) in inodes.iter() {
        let place = place_of(inode, at);
        at = place.inode + head(inode) + (place.size - place.whole());
        places.push(place);
    }
    let mut block = at.div_ceil(BLOCK);
    for place in &mut places {
        // All that are in use fit when the last one does.
        place.block = if place.whole() > 0 { u32::try_from(block).unwrap_or(u32::MAX) } else { 0 };
        block = block.saturating_add(place.whole().div_ceil(BLOCK));
    }
    let blocks = u32::try_from(block).map_err(|_| {
        format!("it needs {block} blocks of 4 KiB, and {} are possible, which are 16 TiB", u32::MAX)
    })?;
    Ok(Plan { places, blocks })
}

/// Bytes of an inode with its attributes.
fn head(inode: &Inode<'_>) -> u64 {
    inode::LEN + xattr::len(&inode.node.xattrs)
}

/// The first good place from `at` on.
fn place_of(inode: &Inode<'_>, at: u64) -> Place {
    let size = match &inode.node.kind {
        Kind::Directory => directory::len(inode),
        Kind::File(content) => content.len(),
        Kind::Symlink(target) => target.len() as u64,
        _ => 0,
    };
    let at = at.next_multiple_of(SLOT);
    let in_one_block = |from: u64, len: u64| from / BLOCK == (from + len - 1) / BLOCK;
    let next = at.next_multiple_of(BLOCK);
    let (head, tail) = (head(inode), size % BLOCK);
    let place = |inode, inline| Place { inode, size, inline, block: 0 };
    if tail > 0 {
        // Attributes may go on in the next block; an inode may not, nor may the end of data.
        let fits = |at: u64| in_one_block(at, inode::LEN) && in_one_block(at + head, tail);
        if fits(at) {
            return place(at, true);
        }
        if fits(next) && next - at <= MOST_GIVEN_UP {
            return place(next, true);
        }
    }
    place(if in_one_block(at, inode::LEN) { at } else { next }, false)
}
