//! The listing of a directory: runs of names, each with a header.
//!
//! A run's inodes are in one block, and their numbers are not far from the first one's.

use std::io;

use crate::output::inodes::{Inode, Inodes};

use super::inode;
use super::table::Place;

/// Most names of a run.
const RUN: usize = 256;

/// The listing of `directory`; `places` says where the inodes of what is in it are.
pub(super) fn listing(inodes: &Inodes<'_>, directory: &Inode<'_>, places: &[Place]) -> io::Result<Vec<u8>> {
    let mut listing = Vec::new();
    let mut left = &directory.children[..];
    while let Some(&(_, first)) = left.first() {
        let fits = |&(_, number): &(&[u8], usize)| {
            places[number].block == places[first].block && distance(first, number).is_some()
        };
        let count = left.iter().take(RUN).take_while(|child| fits(child)).count();
        let (run, rest) = left.split_at(count);
        left = rest;
        let block = u32::try_from(places[first].block).map_err(|_| too_many())?;
        for number in [count as u32 - 1, block, inode::number(first)?] {
            listing.extend(number.to_le_bytes());
        }
        for &(name, number) in run {
            listing.extend(places[number].offset.to_le_bytes());
            listing.extend(distance(first, number).unwrap_or_default().to_le_bytes());
            listing.extend(inode::kind(inodes.get(number).node).to_le_bytes());
            // Names have 1 to 255 bytes.
            listing.extend((name.len() as u16 - 1).to_le_bytes());
            listing.extend(name);
        }
    }
    Ok(listing)
}

/// How far a number is from the first one of its run, if that can be said.
fn distance(first: usize, number: usize) -> Option<i16> {
    i16::try_from(i64::try_from(number).ok()? - i64::try_from(first).ok()?).ok()
}

pub(super) fn too_many() -> io::Error {
    io::Error::other("the tree has more files than the tables of squashfs, of 4 GiB each, can hold")
}
