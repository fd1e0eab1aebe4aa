//! EROFS without compression: a file system that is only read, and read straight from the disk.
//!
//! Source: Linux, Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h. All numbers are little-endian.
//!
//! | blocks of 4 KiB | content | file |
//! |---|---|---|
//! | 0 | superblock | `superblock.rs` |
//! | 1.. | inodes, each with its attributes and, where there is room, the end of its data | `inode.rs`, `xattr.rs` |
//! | then | data of directories and files, in whole blocks | `directory.rs` |
//!
//! Where everything will lie is decided before anything is written (`plan.rs`); then it is written from front to back.

mod directory;
mod inode;
mod plan;
mod superblock;
#[cfg(test)]
mod tests;
mod xattr;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::image::ReadAt;
use crate::tree::{Kind, Tree, display};

use super::OutputError;
use super::gpt::Guid;
use super::hashed_file::HashedFile;
use super::inodes::{self, Inode, Inodes};
use plan::Plan;

/// What errors call it.
const NAME: &str = "an EROFS image";
/// Bytes of a block: every kernel takes those that are as large as its pages, and the smallest pages are these.
const BLOCK: u64 = 4096;
/// Inodes are numbered by where they are, in units of so many bytes.
const SLOT: u64 = 32;

/// Writes the tree over `out`, which is at `path`. Returns an identity, made from what is in it, and the length in bytes.
///
/// # Errors
/// When the tree has what EROFS cannot hold, or something cannot be read or written.
pub(super) fn write(tree: &Tree, out: &mut File, path: &Path) -> Result<(Guid, u64), OutputError> {
    let failed = |source: io::Error| OutputError::io("write", path)(source);
    let unfit = |reason| OutputError::Unfit { format: NAME, reason };
    let root = inodes::root_of(tree);
    let inodes = Inodes::of(tree, &root);
    if let Some(excess) = inodes::excess(tree).or_else(|| xattr::excess(tree)) {
        return Err(unfit(excess));
    }
    let plan = plan::plan(&inodes).map_err(unfit)?;

    let mut out = HashedFile::new(out, BLOCK).map_err(failed)?;
    for (number, inode) in inodes.iter() {
        let place = plan.place(number);
        fill(&mut out, place.inode).map_err(failed)?;
        out.write_all(&inode::bytes(inode, number, place)).map_err(failed)?;
        out.write_all(&xattr::bytes(&inode.node.xattrs)).map_err(failed)?;
        copy(&inodes, &plan, number, place.whole()..place.size, &mut out, path)?;
    }
    out.pad(BLOCK).map_err(failed)?;
    for (number, _) in inodes.iter() {
        let place = plan.place(number);
        if place.whole() > 0 {
            copy(&inodes, &plan, number, 0..place.whole(), &mut out, path)?;
            out.pad(BLOCK).map_err(failed)?;
        }
    }
    let count = inodes.len() as u64;
    out.finish(|id| superblock::bytes(count, plan.root(), plan.blocks(), id)).map_err(failed)
}

/// Zeros up to a place further on, of less than a block.
fn fill(out: &mut HashedFile<'_>, to: u64) -> io::Result<()> {
    let zeros = [0; BLOCK as usize];
    let gap = to.saturating_sub(out.position());
    out.write_all(&zeros[..gap.min(BLOCK) as usize])
}

/// Writes a range of what an inode's data is.
fn copy(
    inodes: &Inodes<'_>,
    plan: &Plan,
    number: usize,
    range: std::ops::Range<u64>,
    out: &mut HashedFile<'_>,
    path: &Path,
) -> Result<(), OutputError> {
    let inode = inodes.get(number);
    let made;
    let bytes: &[u8] = match &inode.node.kind {
        Kind::File(content) => {
            let mut chunk = vec![0; (256 << 10).min(range.end - range.start) as usize];
            let mut at = range.start;
            while at < range.end {
                let now = (range.end - at).min(chunk.len() as u64) as usize;
                content.read_exact_at(&mut chunk[..now], at).map_err(copy_error(inode))?;
                out.write_all(&chunk[..now]).map_err(OutputError::io("write", path))?;
                at += now as u64;
            }
            return Ok(());
        }
        Kind::Symlink(target) => target,
        Kind::Directory => {
            made = directory::bytes(inodes, number, |child| plan.place(child).number());
            &made
        }
        _ => return Ok(()),
    };
    // What is made in memory has the length that was planned.
    let part = bytes.get(range.start as usize..range.end as usize).unwrap_or_default();
    out.write_all(part).map_err(OutputError::io("write", path))
}

/// For errors while a file is read.
fn copy_error(inode: &Inode<'_>) -> impl FnOnce(io::Error) -> OutputError {
    let (path, origin) = (display(inode.path), inode.node.origin.to_string());
    |source| OutputError::Copy { path, origin, into: NAME.into(), source }
}
