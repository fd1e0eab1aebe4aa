//! The entries of a root filesystem, and of what is beside it on the same disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use super::archive;
use super::bytes::Bytes;
use super::error::ListingError;
use super::explore::{Explored, Failure, Looked, Volume};
use super::found::{Found, What};
use super::listed::{Listed, Spot};
use crate::image::Digest;
use crate::output::Machine;
use crate::tree::{Kind, Node, Tree, TreePath, clean, split};

/// What a root has when it is one.
const INITS: [&[u8]; 2] = [b"init", b"sbin/init"];
/// File systems that are roots, and nothing else.
const ROOTS: [&str; 2] = ["squashfs", "EROFS"];

/// The entries of a root filesystem, and of what is beside it on the same disk.
#[derive(Debug)]
pub struct Listing {
    /// What it is of, for messages.
    name: String,
    entries: BTreeMap<Spot, Listed>,
}

impl Listing {
    /// What the tar format would hold of a machine.
    #[must_use]
    pub fn of_machine(name: &str, machine: &Machine) -> Self {
        let mut listing = Self::of_tree(name, &machine.root);
        for (path, node) in machine.boot_files() {
            listing.add_node(path.as_bytes().to_vec(), node);
        }
        listing
    }

    /// What is in a root filesystem.
    #[must_use]
    pub fn of_tree(name: &str, tree: &Tree) -> Self {
        let mut listing = Self { name: name.to_owned(), entries: BTreeMap::new() };
        tree.iter().for_each(|(path, node)| listing.add_node(path.clone(), node.clone()));
        listing
    }

    fn add_node(&mut self, path: TreePath, node: Node) {
        let Node { kind, mode, uid, gid, xattrs, .. } = node;
        let (what, link_to) = match kind {
            Kind::Directory => (What::Directory, None),
            Kind::File(content) => {
                let len = content.len();
                (What::File(Bytes::of(content, len)), None)
            }
            Kind::Symlink(target) => (What::Symlink(target), None),
            Kind::CharDevice { major, minor } => (What::Device((major, minor)), None),
            Kind::BlockDevice { major, minor } => (What::Disk((major, minor)), None),
            Kind::Fifo => (What::Pipe, None),
            // The file is always there, and its path sorts first.
            Kind::Hardlink(file) => match self.entries.get(&Spot { path: file.clone(), ..Spot::default() }) {
                Some(found) => (found.what.clone(), Some(file)),
                None => return,
            },
        };
        let listed = Listed { what, mode, uid, gid, xattrs, link_to, is_looked_into: false };
        self.entries.insert(Spot { path, ..Spot::default() }, listed);
    }

    /// Adds a file that is beside the root.
    pub(super) fn add_beside(&mut self, volume: &str, path: &str, content: Vec<u8>) {
        let len = content.len() as u64;
        let what = What::File(Bytes::of(crate::tree::Content::from(content), len));
        let listed = Listed {
            what,
            mode: 0o644,
            uid: 0,
            gid: 0,
            xattrs: BTreeMap::new(),
            link_to: None,
            is_looked_into: false,
        };
        self.entries.insert(Spot { volume: volume.to_owned(), path: path.into() }, listed);
    }

    /// What a file holds that was built: a disk, a CD, a program, an initrd, a file system or an uncompressed tar archive.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or is something else.
    pub fn of_file(path: &Path) -> Result<Self, ListingError> {
        let name = path.display().to_string();
        // A named pipe would block, a device would never end.
        let opened = path.metadata().and_then(|metadata| match metadata.is_file() {
            true => File::open(path).and_then(Bytes::of_file),
            false => Err(io::Error::other("it is not a regular file")),
        });
        Self::of_bytes(&name, &opened.map_err(|source| ListingError::Open { name: name.clone(), source })?)
    }

    /// The same for bytes that have this name.
    pub(super) fn of_bytes(name: &str, bytes: &Bytes) -> Result<Self, ListingError> {
        let explored = Explored::of(bytes).map_err(|Failure { place, source }| {
            // An archive says by itself what is wrong with it.
            match place.as_str() {
                "tar" => ListingError::Unknown { name: name.to_owned(), source },
                _ => ListingError::Damaged { name: name.to_owned(), place, source },
            }
        })?;
        let explored = match explored {
            Some(explored) => explored,
            None => {
                let inside = archive::read(bytes);
                let inside =
                    inside.map_err(|source| ListingError::Unknown { name: name.to_owned(), source })?;
                Explored::of_inside("tar", inside)
            }
        };
        Self::of_explored(name, explored)
    }

    fn of_explored(name: &str, explored: Explored) -> Result<Self, ListingError> {
        let Explored { volumes, boot, .. } = explored;
        let root = root_of(&volumes);
        let mut listing = Self { name: name.to_owned(), entries: BTreeMap::new() };
        for (number, volume) in volumes.into_iter().enumerate() {
            let called = if root == Some(number) { String::new() } else { volume.name };
            listing.add_volume(&called, volume.files)?;
        }
        for (path, bytes) in boot {
            listing.add_boot(path, bytes);
        }
        listing.put_links_in_order();
        Ok(listing)
    }

    fn add_volume(&mut self, volume: &str, files: Vec<(Found, Looked)>) -> Result<(), ListingError> {
        let bad = |source| ListingError::Path { name: self.name.clone(), source };
        let spot = |path| Spot { volume: volume.to_owned(), path };
        let mut entries: BTreeMap<Spot, Listed> = BTreeMap::new();
        for (found, looked) in files {
            let Found { path, mut what, mode, uid, gid, xattrs, link_to } = found;
            let path = clean(&path).map_err(bad)?;
            // Of the root itself some formats say something and some nothing; it is never more than a directory.
            if path.is_empty() {
                continue;
            }
            let mut first = None;
            if let Some(target) = link_to {
                let target = clean(&target).map_err(bad)?;
                let Some(file) = entries.get(&spot(target.clone())) else {
                    let (path, target) = (spot(path).to_string(), spot(target).to_string());
                    return Err(ListingError::Link { name: self.name.clone(), path, target });
                };
                first = Some(file.link_to.clone().unwrap_or(target));
                what = file.what.clone();
            }
            let is_looked_into = looked == Looked::Into;
            // A later entry replaces an earlier one, as it does for the kernel.
            entries
                .insert(spot(path), Listed { what, mode, uid, gid, xattrs, link_to: first, is_looked_into });
        }
        self.entries.append(&mut entries);
        Ok(())
    }

    /// Adds what the tar format has for a boot loader, unless the root has it there.
    fn add_boot(&mut self, path: &str, bytes: Bytes) {
        let spot = |path: &[u8]| Spot { path: path.to_vec(), ..Spot::default() };
        let plain = |what, mode| Listed {
            what,
            mode,
            uid: 0,
            gid: 0,
            xattrs: BTreeMap::new(),
            link_to: None,
            is_looked_into: false,
        };
        let directory = split(path.as_bytes()).0;
        self.entries.entry(spot(directory)).or_insert_with(|| plain(What::Directory, 0o755));
        let entry = self.entries.entry(spot(path.as_bytes()));
        entry.or_insert_with(|| plain(What::File(bytes), 0o644)).is_looked_into = false;
    }

    /// Has the first name of a file in order be the one that the others are links to, whatever the archive's order.
    fn put_links_in_order(&mut self) {
        let mut names: BTreeMap<Spot, Vec<Spot>> = BTreeMap::new();
        for (spot, entry) in &self.entries {
            if let Some(file) = &entry.link_to {
                let file = Spot { volume: spot.volume.clone(), path: file.clone() };
                names.entry(file).or_default().push(spot.clone());
            }
        }
        for (file, mut links) in names {
            links.push(file);
            links.sort();
            for spot in &links {
                if let Some(entry) = self.entries.get_mut(spot) {
                    entry.link_to =
                        links.first().filter(|first| *first != spot).map(|first| first.path.clone());
                }
            }
        }
    }

    /// Every entry but directories and parts, with its bytes: those of a file with several names are with its first, and of
    /// what was looked into there are none.
    pub fn files(&self) -> impl Iterator<Item = (&Spot, u64)> {
        self.entries.iter().filter_map(|(spot, entry)| match &entry.what {
            What::Directory | What::Part(_) => None,
            What::File(bytes) if entry.link_to.is_none() && !entry.is_looked_into => {
                Some((spot, bytes.len()))
            }
            _ => Some((spot, 0)),
        })
    }

    /// Every entry, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&Spot, &Listed)> {
        self.entries.iter()
    }

    /// Whether the root has this path.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.entries.contains_key(&Spot { path: path.into(), ..Spot::default() })
    }

    /// The digest of a file of this listing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self, spot: &Spot, bytes: &Bytes) -> Result<Digest, ListingError> {
        bytes.digest().map_err(|source| ListingError::Read {
            path: spot.to_string(),
            name: self.name.clone(),
            source,
        })
    }
}

/// The volume that the machine has as its root.
fn root_of(volumes: &[Volume]) -> Option<usize> {
    let has_init = |volume: &Volume| {
        volume
            .files
            .iter()
            .any(|(file, _)| clean(&file.path).is_ok_and(|path| INITS.contains(&path.as_slice())))
    };
    let of = |is_it: &dyn Fn(&Volume) -> bool| volumes.iter().position(is_it);
    of(&|volume| !volume.is_initrd && has_init(volume))
        .or_else(|| of(&|volume| ROOTS.contains(&volume.format)))
        .or_else(|| of(&|volume| volume.is_initrd))
        .or_else(|| (volumes.len() == 1).then_some(0))
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
        let [one, other] = [one, other].map(|file| Listing::of_file(file.path()).unwrap());
        let links = |listing: &Listing| -> Vec<_> {
            listing.entries().map(|(_, entry)| entry.link_to.clone()).collect()
        };
        assert_eq!(links(&one), [None, Some(b"a".to_vec()), Some(b"a".to_vec())]);
        assert_eq!(links(&one), links(&other));
    }

    #[test]
    fn the_root_itself_is_not_compared() {
        let mut builder = tar::Builder::new(tempfile::NamedTempFile::new().unwrap());
        builder.append_dir("./", "/").unwrap();
        let file = builder.into_inner().unwrap();
        assert_eq!(Listing::of_file(file.path()).unwrap().entries().count(), 0);
    }
}
