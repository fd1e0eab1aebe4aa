//! What readers find, and the bounds that they share.

use std::collections::{BTreeMap, HashSet};
use std::io;

use super::bytes::Bytes;
use super::damaged;

/// Most entries of one file system or archive.
const MAX_ENTRIES: usize = 8 << 20;
/// Most bytes that all files of one have together.
const MAX_CONTENT: u64 = 64 << 30;
/// Most bytes of all directories of one, and so most work that empty ones make.
const MAX_DIRECTORIES: u64 = 1 << 30;
/// Longest path and longest target of a link, in bytes (`PATH_MAX`).
pub(super) const MAX_PATH: u64 = 4096;
/// Bits of a mode that say what an entry is.
const KIND: u32 = 0o170_000;

/// What an entry is.
#[derive(Debug, Clone)]
pub enum What {
    /// A directory.
    Directory,
    /// A regular file.
    File(Bytes),
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
    /// A character device with major and minor number.
    Device((u32, u32)),
    /// A block device.
    Disk((u32, u32)),
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A part of a disk, with what the disk says about it.
    Part(Vec<(&'static str, String)>),
}

/// An entry, as it is in what was read.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// As it is written.
    pub path: Vec<u8>,
    pub what: What,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first name of a file with several, in all the others.
    pub link_to: Option<Vec<u8>>,
}

impl Found {
    /// A file that only its content is known of.
    pub fn file(path: impl Into<Vec<u8>>, bytes: Bytes) -> Self {
        Self::plain(path, What::File(bytes), 0o644)
    }

    /// Something that is root's and has no attributes.
    pub fn plain(path: impl Into<Vec<u8>>, what: What, mode: u32) -> Self {
        Self { path: path.into(), what, mode, uid: 0, gid: 0, xattrs: BTreeMap::new(), link_to: None }
    }
}

/// What an entry is by its mode, as Linux has it: the file's content and the link's target are asked for when they are needed.
pub(super) fn what(
    mode: u32,
    device: (u32, u32),
    content: impl FnOnce() -> io::Result<Bytes>,
    target: impl FnOnce() -> io::Result<Vec<u8>>,
) -> io::Result<What> {
    Ok(match mode & KIND {
        0o040_000 => What::Directory,
        0o100_000 => What::File(content()?),
        0o120_000 => What::Symlink(target()?),
        0o020_000 => What::Device(device),
        0o060_000 => What::Disk(device),
        0o010_000 => What::Pipe,
        0o140_000 => What::Socket,
        _ => return Err(damaged("an entry is of no kind that Linux knows")),
    })
}

/// The entries of one file system, within bounds.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    found: Vec<Found>,
    content: u64,
    /// Bytes of the directories.
    names: u64,
    /// Directories by what their file system knows them by.
    directories: HashSet<u64>,
}

impl Gathered {
    /// Adds an entry.
    ///
    /// # Errors
    /// When there are too many, or too many bytes in them.
    pub fn add(&mut self, found: Found) -> io::Result<()> {
        if self.found.len() == MAX_ENTRIES {
            return Err(damaged("it has too many entries"));
        }
        if found.path.len() as u64 > MAX_PATH {
            return Err(damaged("a path is longer than paths can be"));
        }
        if let (What::File(bytes), None) = (&found.what, &found.link_to) {
            self.reserve(bytes.len())?;
        }
        self.found.push(found);
        Ok(())
    }

    /// Enters a directory that has so many bytes.
    ///
    /// # Errors
    /// When it has been entered before: a directory is in one place, or it could be within itself. Also when all together
    /// are larger than any real ones: they may lie one over the other.
    pub fn enter(&mut self, directory: u64, len: u64) -> io::Result<()> {
        self.names = self.names.saturating_add(len);
        match (self.directories.insert(directory), self.names <= MAX_DIRECTORIES) {
            (true, true) => Ok(()),
            (false, _) => Err(damaged("a directory is in two places")),
            (_, false) => Err(damaged("its directories are larger than any real ones")),
        }
    }

    pub fn finish(self) -> Vec<Found> {
        self.found
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        self.content = self.content.saturating_add(bytes);
        match self.content <= MAX_CONTENT {
            true => Ok(()),
            false => Err(damaged("its files are larger than 64 GiB")),
        }
    }
}

/// Checks the length of a file before its content is looked for.
pub(super) fn check_len(len: u64) -> io::Result<u64> {
    if len <= MAX_CONTENT { Ok(len) } else { Err(damaged("a file is larger than 64 GiB")) }
}

/// The path of an entry of a directory.
pub(super) fn below(directory: &[u8], name: &[u8]) -> io::Result<Vec<u8>> {
    if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
        return Err(damaged("a name is empty, or has a slash or a NUL in it"));
    }
    Ok(crate::tree::join(directory, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_in_one_place_and_not_larger_than_any_real_ones() {
        let mut gathered = Gathered::default();
        gathered.enter(1, MAX_DIRECTORIES / 2).unwrap();
        assert_eq!(gathered.enter(1, 0).unwrap_err().to_string(), "a directory is in two places");
        gathered.enter(2, MAX_DIRECTORIES / 2).unwrap();
        assert!(gathered.enter(3, 1).unwrap_err().to_string().contains("larger than any real ones"));
    }

    #[test]
    fn names_are_one_part_of_a_path() {
        assert_eq!(below(b"a/b", b"c").unwrap(), b"a/b/c");
        for name in [&b""[..], b"a/b", b"a\0"] {
            assert!(below(b"a", name).is_err(), "{name:?}");
        }
    }
}
