//! squashfs 4.0: a compressed file system that is only read, as Linux mounts it.
//!
//! Source: Linux, Documentation/filesystems/squashfs.rst and fs/squashfs/squashfs_fs.h. All numbers are little-endian.
//!
//! | part | content | file |
//! |---|---|---|
//! | superblock | where everything is | `superblock.rs` |
//! | data | blocks of files; blocks of small files, several in each ("fragments") | `data.rs`, `compress.rs` |
//! | inodes | | `inode.rs` |
//! | directories | | `directory.rs` |
//! | fragments, owners, attributes | tables | `table.rs`, `xattr.rs` |
//!
//! All but data lies in blocks of 8 KiB, each compressed on its own (`table.rs`). Blocks are compressed on all cores and written
//! in order, so that the bytes do not depend on the number of cores.

mod compress;
mod data;
mod directory;
mod inode;
mod superblock;
mod table;
#[cfg(test)]
mod tests;
mod xattr;

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::Path;
use std::thread;

use crate::tree::{Kind, Tree, display};

use super::OutputError;
use super::gpt::Guid;
use super::hashed_file::HashedFile;
use super::inodes::{self, Inodes};
use data::Stored;
use inode::Owners;
use superblock::Superblock;
use table::{Blocks, lookup_table};
use xattr::Xattrs;

/// What errors call it.
const NAME: &str = "a squashfs image";
/// Bytes of a data block. A byte that is read brings its whole block into memory, and where that is short the block is soon
/// read again. With squashfs' own default, 128 KiB, the LDAP example has 64.0 MB instead of 65.6 MB.
const BLOCK: usize = 16 << 10;
/// What the length of the image is a multiple of: that of blocks of disks.
const DEVICE_BLOCK: u64 = 4096;

/// Writes the tree over `out`, which is at `path`. Returns an identity, made from what is in it, and the length in bytes.
///
/// # Errors
/// When the tree has what squashfs cannot hold, or something cannot be read or written.
pub(super) fn write(tree: &Tree, out: &mut File, path: &Path) -> Result<(Guid, u64), OutputError> {
    write_on(thread::available_parallelism().map_or(1, NonZero::get), tree, out, path)
}

fn write_on(cores: usize, tree: &Tree, out: &mut File, path: &Path) -> Result<(Guid, u64), OutputError> {
    let failed = |source: io::Error| OutputError::io("write", path)(source);
    let root = inodes::root_of(tree);
    let inodes = Inodes::of(tree, &root);
    let unfit = |reason| OutputError::Unfit { format: NAME, reason };
    if let Some(excess) = inodes::excess(tree).or_else(|| xattr::excess(tree)) {
        return Err(unfit(excess));
    }
    let owners = Owners::of(&inodes).map_err(unfit)?;
    let inode_count = u32::try_from(inodes.len())
        .map_err(|_| unfit(format!("it has {} files, and {} are possible", inodes.len(), u32::MAX)))?;

    let mut out = HashedFile::new(out, superblock::LEN as u64).map_err(failed)?;
    let (stored, fragments) = data::write(&inodes, &mut out, path, cores)?;
    let tables = Tables::of(&inodes, &owners, &stored).map_err(failed)?;

    let inode_table = out.position();
    out.write_all(&tables.inodes).map_err(failed)?;
    let directory_table = out.position();
    out.write_all(&tables.directories).map_err(failed)?;
    let fragment_table = lookup_table(&mut out, &data::fragment_entries(&fragments), &[]).map_err(failed)?;
    let owner_table = lookup_table(&mut out, &owners.entries(), &[]).map_err(failed)?;
    let xattr_table = tables.xattrs.write(&mut out).map_err(failed)?;
    let superblock = Superblock {
        inode_count,
        fragment_count: u32::try_from(fragments.len())
            .map_err(|_| failed(io::ErrorKind::FileTooLarge.into()))?,
        owner_count: owners.count(),
        root: tables.root,
        len: out.position(),
        owner_table,
        xattr_table,
        inode_table,
        directory_table,
        fragment_table,
    };
    out.pad(DEVICE_BLOCK).map_err(failed)?;
    out.finish(|_| superblock.bytes()).map_err(failed)
}

/// What is known when all data is written.
struct Tables {
    inodes: Vec<u8>,
    directories: Vec<u8>,
    xattrs: Xattrs,
    /// Where the root's inode is.
    root: u64,
}

impl Tables {
    /// Files first, then directories from the last to the first: a directory says where the inodes of those in it are.
    fn of(inodes: &Inodes<'_>, owners: &Owners, stored: &[Stored]) -> io::Result<Self> {
        let (mut table, mut listings, mut xattrs) = (Blocks::new()?, Blocks::new()?, Xattrs::new()?);
        let mut places = vec![table::Place::default(); inodes.len()];
        let files = inodes.iter().filter(|(_, inode)| inode.node.kind != Kind::Directory);
        let directories = inodes.iter().rev().filter(|(_, inode)| inode.node.kind == Kind::Directory);
        for (number, inode) in files.chain(directories) {
            let attributes = xattrs.add(&inode.node.xattrs)?;
            let body = match inode.node.kind {
                Kind::Directory => {
                    let at = listings.place();
                    let listing = directory::listing(inodes, inode, &places)?;
                    listings.push(&listing)?;
                    inode::directory(inode, at, listing.len(), inodes.len(), attributes)?
                }
                _ => inode::other(inode, &stored[number], attributes)?,
            };
            places[number] = table.place();
            table.push(&inode::with_header(inode, number, owners, &body)?)?;
        }
        let root = places[0].reference();
        Ok(Self { inodes: table.finish()?, directories: listings.finish()?, xattrs, root })
    }
}

/// For errors while a file is read.
fn copy_error(inode: &inodes::Inode<'_>) -> impl FnOnce(io::Error) -> OutputError {
    let (path, origin) = (display(inode.path), inode.node.origin.to_string());
    |source| OutputError::Copy { path, origin, into: NAME.into(), source }
}
