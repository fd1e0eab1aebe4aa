//! The way through a file system of inodes: what ext4 and EROFS have in common.

use std::collections::{BTreeMap, HashMap};
use std::io;

use super::bytes::Bytes;
use super::damaged;
use super::found::{Found, Gathered, What, below};

/// What is known of an entry but for its names.
pub(super) struct Inode {
    pub(super) what: What,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The data of a directory.
    pub(super) names: Option<Bytes>,
}

/// A file system in which directories give names to numbered inodes.
pub(super) trait Inodes {
    /// The inode of this number.
    fn inode(&self, number: u64) -> io::Result<Inode>;
    /// The names in a directory, each with the number of its inode.
    fn listing(&self, directory: &Bytes) -> io::Result<Vec<(Vec<u8>, u64)>>;
}

/// Every entry below the directory that is inode `root`, directories before what is in them.
pub(super) fn walk(system: &impl Inodes, root: u64) -> io::Result<Vec<Found>> {
    let mut gathered = Gathered::default();
    // Of each file with several names, the first.
    let mut names: HashMap<u64, Vec<u8>> = HashMap::new();
    let Some(data) = system.inode(root)?.names else { return Err(damaged("its root is no directory")) };
    gathered.enter(root, data.len())?;
    let mut open = vec![(Vec::new(), data)];
    while let Some((path, directory)) = open.pop() {
        for (name, number) in system.listing(&directory)? {
            let Inode { what, mode, uid, gid, links, xattrs, names: inside } = system.inode(number)?;
            let path = below(&path, &name)?;
            if let Some(directory) = inside {
                gathered.enter(number, directory.len())?;
                open.push((path.clone(), directory));
            }
            let mut link_to = None;
            if links > 1 && !matches!(what, What::Directory) {
                link_to = names.get(&number).cloned();
                names.entry(number).or_insert_with(|| path.clone());
            }
            gathered.add(Found { path, what, mode, uid, gid, xattrs, link_to })?;
        }
    }
    Ok(gathered.finish())
}
