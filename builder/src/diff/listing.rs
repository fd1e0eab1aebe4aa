//! The entries of a root filesystem, of a machine or of a tar archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use super::initrd;
use crate::image::{ArchiveError, Digest, EntryKind, Hashing, entries};
use crate::output::Machine;
use crate::tree::{Content, Kind, Node, PathError, TreePath, clean, display};

/// The entries of a root filesystem.
#[derive(Debug)]
pub struct Listing {
    /// What it is of, for messages.
    name: String,
    entries: BTreeMap<TreePath, Listed>,
    /// The archive that contents are in.
    archive: Option<File>,
}

/// Why there is no listing, or no comparison.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The archive cannot be opened.
    #[error("cannot open {name}: {source}")]
    Open {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It is none, or broken.
    #[error(
        "{name} {source}; what can be looked into are configurations (.yml, .yaml), uncompressed tar archives and initrds"
    )]
    Archive {
        /// Its name.
        name: String,
        /// Why.
        source: ArchiveError,
    },
    /// It begins like an initrd, and is none.
    #[error("{name} is no initrd that can be read: {source}")]
    Initrd {
        /// Its name.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// An entry has a name that is no path.
    #[error("{name}: {source}")]
    Path {
        /// The archive's name.
        name: String,
        /// Why.
        source: PathError,
    },
    /// A hard link names nothing.
    #[error("{name}: {path} is a hard link to {target}, which is no file before it")]
    Link {
        /// The archive's name.
        name: String,
        /// The link.
        path: String,
        /// What it names.
        target: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path} of {name}: {source}")]
    Read {
        /// Its path.
        path: String,
        /// What it is in.
        name: String,
        /// Why.
        source: io::Error,
    },
}

/// One entry.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub what: What,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Of a file with several names, the first of them, in all the others.
    pub link_to: Option<TreePath>,
}

/// What an entry is.
#[derive(Debug, Clone)]
pub(super) enum What {
    Directory,
    File(Bytes),
    Symlink(Vec<u8>),
    Device((u32, u32)),
    Disk((u32, u32)),
    Pipe,
}

/// Where a file's content is.
#[derive(Debug, Clone)]
pub(super) enum Bytes {
    Content(Content),
    /// In the archive.
    Archived {
        offset: u64,
        len: u64,
    },
}

impl What {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File(_) => "file",
            Self::Symlink(_) => "symbolic link",
            Self::Device(_) => "character device",
            Self::Disk(_) => "block device",
            Self::Pipe => "pipe",
        }
    }
}

impl Bytes {
    pub fn len(&self) -> u64 {
        match self {
            Self::Content(content) => content.len(),
            Self::Archived { len, .. } => *len,
        }
    }
}

impl Listed {
    pub fn owner(&self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }

    /// `file, 3 bytes, 0644, 0:0`
    pub fn describe(&self) -> String {
        let size = match &self.what {
            What::File(bytes) => format!(", {} bytes", bytes.len()),
            _ => String::new(),
        };
        format!("{}{size}, {:04o}, {}", self.what.name(), self.mode, self.owner())
    }
}

impl Listing {
    /// What the tar format would hold of a machine.
    #[must_use]
    pub fn of_machine(name: &str, machine: &Machine) -> Self {
        let boot = machine.boot_files().into_iter().map(|(path, node)| (path.as_bytes().to_vec(), node));
        let root = machine.root.iter().map(|(path, node)| (path.clone(), node.clone()));
        let mut entries = BTreeMap::new();
        for (path, node) in boot.chain(root) {
            let Node { kind, mode, uid, gid, xattrs, .. } = node;
            let (what, link_to) = match kind {
                Kind::Directory => (What::Directory, None),
                Kind::File(content) => (What::File(Bytes::Content(content)), None),
                Kind::Symlink(target) => (What::Symlink(target), None),
                Kind::CharDevice { major, minor } => (What::Device((major, minor)), None),
                Kind::BlockDevice { major, minor } => (What::Disk((major, minor)), None),
                Kind::Fifo => (What::Pipe, None),
                // The file is always there, and its path sorts first.
                Kind::Hardlink(file) => match entries.get(&file).map(|file: &Listed| file.what.clone()) {
                    Some(what) => (what, Some(file)),
                    None => continue,
                },
            };
            entries.insert(path, Listed { what, mode, uid, gid, xattrs, link_to });
        }
        Self { name: name.to_owned(), entries, archive: None }
    }

    /// What a file that was built holds: an uncompressed tar archive, or an initrd.
    ///
    /// # Errors
    /// When it cannot be read, or is something else.
    pub fn of_file(path: &Path) -> Result<Self, ListingError> {
        let mut start = Vec::new();
        let read = File::open(path).and_then(|file| match file.metadata()?.is_file() {
            true => file.take(4).read_to_end(&mut start),
            false => Err(io::Error::other("it is not a regular file")),
        });
        read.map_err(|source| ListingError::Open { name: path.display().to_string(), source })?;
        // gzip (RFC 1952), zstd (RFC 8878), cpio.
        match start.as_slice() {
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd] | b"0707" => Self::of_initrd(path),
            _ => Self::of_archive(path),
        }
    }

    fn of_initrd(path: &Path) -> Result<Self, ListingError> {
        let name = path.display().to_string();
        let failed = |source| ListingError::Initrd { name: name.clone(), source };
        // It has no name, and is gone when it is closed.
        let mut options = File::options();
        options.read(true).write(true).custom_flags(OFlag::O_TMPFILE.bits()).mode(0o600);
        let mut contents = options.open(std::env::temp_dir()).map_err(failed)?;
        let read = File::open(path).and_then(|file| initrd::read(file, &mut contents)).map_err(failed)?;
        let mut entries = BTreeMap::new();
        for entry in read {
            let bad = |source| ListingError::Path { name: name.clone(), source };
            let path = clean(&entry.path).map_err(bad)?;
            if path.is_empty() {
                continue;
            }
            let what = match (entry.mode & 0o170_000, entry.content) {
                (0o040_000, _) => What::Directory,
                (0o020_000, _) => What::Device(entry.device),
                (0o060_000, _) => What::Disk(entry.device),
                (0o010_000, _) => What::Pipe,
                (_, initrd::Content::Target(target)) => What::Symlink(target),
                (_, initrd::Content::File { offset, len }) => What::File(Bytes::Archived { offset, len }),
            };
            let link_to = entry.link_to.map(|name| clean(&name).map_err(bad)).transpose()?;
            let (mode, uid, gid) = (entry.mode & 0o7777, entry.uid, entry.gid);
            // A later archive replaces what an earlier one has, as the kernel does.
            entries.insert(path, Listed { what, mode, uid, gid, xattrs: BTreeMap::new(), link_to });
        }
        let mut listing = Self { name, entries, archive: Some(contents) };
        listing.put_links_in_order();
        Ok(listing)
    }

    /// What an uncompressed tar archive holds.
    fn of_archive(path: &Path) -> Result<Self, ListingError> {
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = opened.map_err(|source| ListingError::Open { name: name.clone(), source })?;
        let archived =
            entries(&file, 0, len).map_err(|source| ListingError::Archive { name: name.clone(), source })?;
        let mut listing = Self { name, entries: BTreeMap::new(), archive: Some(file) };
        for entry in archived {
            let bad = |source| ListingError::Path { name: listing.name.clone(), source };
            let path = clean(&entry.path).map_err(bad)?;
            // Of the root itself some archives say something and some nothing; it is never more than a directory.
            if path.is_empty() {
                continue;
            }
            let mut link_to = None;
            let what = match entry.kind {
                EntryKind::Directory => What::Directory,
                EntryKind::File { offset, len } => What::File(Bytes::Archived { offset, len }),
                EntryKind::Symlink(target) => What::Symlink(target),
                EntryKind::CharDevice(major, minor) => What::Device((major, minor)),
                EntryKind::BlockDevice(major, minor) => What::Disk((major, minor)),
                EntryKind::Fifo => What::Pipe,
                EntryKind::Hardlink(target) => {
                    let target = clean(&target).map_err(bad)?;
                    let Some(file) = listing.entries.get(&target) else {
                        let (path, target) = (display(&path), display(&target));
                        return Err(ListingError::Link { name: listing.name, path, target });
                    };
                    link_to = Some(file.link_to.clone().unwrap_or(target));
                    file.what.clone()
                }
            };
            let (mode, uid, gid, xattrs) = (entry.mode, entry.uid, entry.gid, entry.xattrs);
            listing.entries.insert(path, Listed { what, mode, uid, gid, xattrs, link_to });
        }
        listing.put_links_in_order();
        Ok(listing)
    }

    /// Has the first name of a file in order be the one that the others are links to, whatever the archive's order.
    fn put_links_in_order(&mut self) {
        let mut names: BTreeMap<TreePath, Vec<TreePath>> = BTreeMap::new();
        for (path, entry) in &self.entries {
            if let Some(file) = &entry.link_to {
                names.entry(file.clone()).or_default().push(path.clone());
            }
        }
        for (file, mut links) in names {
            links.push(file);
            links.sort();
            for path in &links {
                if let Some(entry) = self.entries.get_mut(path) {
                    entry.link_to = links.first().filter(|first| *first != path).cloned();
                }
            }
        }
    }

    /// Every entry but directories, with its bytes: those of a file with several names are with its first.
    pub fn files(&self) -> impl Iterator<Item = (&TreePath, u64)> {
        self.entries.iter().filter_map(|(path, entry)| match &entry.what {
            What::Directory => None,
            What::File(bytes) if entry.link_to.is_none() => Some((path, bytes.len())),
            _ => Some((path, 0)),
        })
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&TreePath, &Listed)> {
        self.entries.iter()
    }

    /// The digest of a file of this listing.
    pub(super) fn digest(&self, path: &[u8], bytes: &Bytes) -> Result<Digest, ListingError> {
        let digest = match (bytes, &self.archive) {
            (Bytes::Content(content), _) => content.digest(),
            (Bytes::Archived { offset, len }, Some(file)) => {
                let mut hashing = Hashing::new(io::sink());
                let mut stretch = Stretch { file, offset: *offset }.take(*len);
                io::copy(&mut stretch, &mut hashing).map(|_| hashing.finish().1)
            }
            (Bytes::Archived { .. }, None) => Err(io::ErrorKind::NotFound.into()),
        };
        digest.map_err(|source| ListingError::Read { path: display(path), name: self.name.clone(), source })
    }
}

/// A file from an offset on.
struct Stretch<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for Stretch<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of a file and its further names, in this order.
    fn archive(names: &[&str]) -> tempfile::NamedTempFile {
        let mut builder = tar::Builder::new(tempfile::NamedTempFile::new().unwrap());
        for (index, name) in names.iter().enumerate() {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o644);
            if index == 0 {
                header.set_size(4);
                builder.append_data(&mut header, name, &b"text"[..]).unwrap();
            } else {
                header.set_size(0);
                header.set_entry_type(tar::EntryType::Link);
                builder.append_link(&mut header, name, names[0]).unwrap();
            }
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn the_names_of_a_file_are_equal_in_whatever_order_an_archive_has_them() {
        let (one, other) = (archive(&["b", "c", "a"]), archive(&["a", "b", "c"]));
        let [one, other] = [one, other].map(|file| Listing::of_archive(file.path()).unwrap());
        assert_eq!(super::super::compare(&one, &other).unwrap(), []);
        let links: Vec<_> = one.entries().map(|(_, entry)| entry.link_to.as_deref()).collect();
        assert_eq!(links, [None, Some(&b"a"[..]), Some(b"a")]);
    }

    #[test]
    fn the_root_itself_is_not_compared() {
        let mut builder = tar::Builder::new(tempfile::NamedTempFile::new().unwrap());
        builder.append_dir("./", "/").unwrap();
        let file = builder.into_inner().unwrap();
        assert_eq!(Listing::of_archive(file.path()).unwrap().entries().count(), 0);
    }
}
