//! Uncompressed tar archives.

use std::io;

use super::bytes::Bytes;
use super::found::{Found, Gathered, What};
use super::{Inside, Reader};
use crate::image::{ArchiveError, EntryKind, entries};

/// Where a header says that it is one, and with what (POSIX.1-2024 pax, "ustar Interchange Format").
const MAGIC: (u64, &[u8]) = (257, b"ustar");

/// Reads tar archives.
#[derive(Debug)]
pub(super) struct Archive;

impl Reader for Archive {
    fn called(&self) -> &'static str {
        "tar"
    }

    fn recognises(&self, bytes: &Bytes) -> io::Result<bool> {
        Ok(bytes.len() > MAGIC.0 + 5 && bytes.read(MAGIC.0, 5)? == MAGIC.1)
    }

    fn read(&self, bytes: &Bytes) -> io::Result<Inside> {
        read(bytes)
    }
}

/// Reads what may be an archive, whatever it begins with.
pub(super) fn read(bytes: &Bytes) -> io::Result<Inside> {
    let mut gathered = Gathered::default();
    let found = entries(bytes, 0, bytes.len()).map_err(|error| match error {
        ArchiveError::Read { source, .. } => source,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    })?;
    for entry in found {
        let (what, link_to) = match entry.kind {
            EntryKind::Directory => (What::Directory, None),
            EntryKind::File { offset, len } => (What::File(bytes.slice(offset, len)?), None),
            EntryKind::Symlink(target) => (What::Symlink(target), None),
            EntryKind::CharDevice(major, minor) => (What::Device((major, minor)), None),
            EntryKind::BlockDevice(major, minor) => (What::Disk((major, minor)), None),
            EntryKind::Fifo => (What::Pipe, None),
            // What it is is known by the file that it names.
            EntryKind::Hardlink(target) => (What::Pipe, Some(target)),
        };
        let (path, mode, uid, gid, xattrs) = (entry.path, entry.mode, entry.uid, entry.gid, entry.xattrs);
        gathered.add(Found { path, what, mode, uid, gid, xattrs, link_to })?;
    }
    Ok(Inside { files: gathered.finish(), ..Inside::default() })
}
