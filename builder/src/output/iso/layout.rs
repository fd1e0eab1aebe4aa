//! A tree → what lies in which sector.
//!
//! | sectors | content |
//! |---|---|
//! | 0..16 | nothing of ISO 9660's: room for what disks have at their start |
//! | 16, 17, 18 | primary volume descriptor, boot record or terminator, terminator |
//! | 19.. | path table, little- and big-endian |
//! | .. | directories, each with its continuation areas; parents first |
//! | .. | files, in the order of the tree |
//! | .. | files that somebody else writes later |

use std::collections::HashMap;

use super::identifier::{identifiers, order};
use super::record::{self, Extent, Record};
use super::rock_ridge::{self, Attributes, Continuation};
use super::{IsoError, LARGEST, SECTOR};
use crate::image::Digest;
use crate::tree::{Content, GENERATED_MTIME, Kind, Node, Tree, TreePath, display, split};

/// The first sector behind the volume descriptors.
const PATH_TABLE: u64 = 19;
/// Linux hides files with longer names (`fs/isofs/rock.c`, `get_rock_ridge_filename`).
const LONGEST_NAME: usize = 253;
/// And reads a link's target into one page.
const LONGEST_TARGET: usize = 4095;
/// Directories are numbered with 16 bits.
const MOST_DIRECTORIES: usize = u16::MAX as usize;

const IS_PIPE: u32 = 0o010_000;
const IS_CHAR: u32 = 0o020_000;
const IS_DIRECTORY: u32 = 0o040_000;
const IS_BLOCK: u32 = 0o060_000;
const IS_FILE: u32 = 0o100_000;
const IS_LINK: u32 = 0o120_000;

/// A file whose content is written later, by somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    /// Where it is in the tree: an empty file.
    pub path: TreePath,
    /// Its length in bytes.
    pub len: u64,
    /// It begins at a multiple of so many sectors.
    pub alignment: u32,
}

/// Where a file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its first sector.
    pub first: u32,
    /// Its length in bytes.
    pub len: u64,
}

impl Place {
    /// Where it begins, in bytes.
    #[must_use]
    pub fn start(self) -> u64 {
        u64::from(self.first) * SECTOR
    }
}

/// What lies where.
#[derive(Debug)]
pub struct Layout<'t> {
    directories: Vec<Directory<'t>>,
    /// The directories in the order of their numbers, which count from 1.
    numbered: Vec<usize>,
    files: Vec<Stored<'t>>,
    later: Vec<Place>,
    path_table: Extent,
    sectors: u32,
}

#[derive(Debug)]
struct Directory<'t> {
    identifier: Vec<u8>,
    parent: usize,
    attributes: Attributes,
    mtime: u64,
    children: Vec<Child<'t>>,
    extent: Extent,
}

#[derive(Debug)]
struct Child<'t> {
    path: &'t [u8],
    node: &'t Node,
    identifier: Vec<u8>,
    serial: u32,
    links: u32,
    target: Target,
}

/// What a name in a directory leads to.
#[derive(Debug, Clone, Copy)]
enum Target {
    Directory(usize),
    File(usize),
    Later(usize),
    Nothing,
}

/// A file's content, once for all that have it.
#[derive(Debug)]
pub(super) struct Stored<'t> {
    pub(super) path: &'t [u8],
    pub(super) node: &'t Node,
    pub(super) content: &'t Content,
    pub(super) first: u32,
}

impl<'t> Layout<'t> {
    /// Lays out a tree. The files of `later` are in it, and come last, in this order.
    ///
    /// # Errors
    /// When ISO 9660, or Linux reading it, cannot hold what the tree has.
    pub fn of(tree: &'t Tree, later: &[Later]) -> Result<Self, IsoError> {
        let mut layout = Self {
            directories: Vec::new(),
            numbered: vec![0],
            files: Vec::new(),
            later: later.iter().map(|later| Place { first: 0, len: later.len }).collect(),
            path_table: Extent::default(),
            sectors: 0,
        };
        layout.collect(tree, later)?;
        layout.number()?;
        layout.place(later)?;
        Ok(layout)
    }

    /// Sectors in all, up to the end of the last file.
    #[must_use]
    pub fn sectors(&self) -> u32 {
        self.sectors
    }

    /// Where the files that are written later lie, in the order in which they were given.
    #[must_use]
    pub fn later(&self) -> &[Place] {
        &self.later
    }

    pub(super) fn files(&self) -> &[Stored<'t>] {
        &self.files
    }

    pub(super) fn path_table(&self) -> Extent {
        self.path_table
    }

    /// The sector of the path table's big-endian twin.
    pub(super) fn second_path_table(&self) -> u32 {
        self.path_table.first + sectors_of(self.path_table.len.into()) as u32
    }

    /// The root directory as the volume descriptor has it.
    pub(super) fn root_record(&self) -> Vec<u8> {
        record::root(self.directories[0].extent, self.directories[0].mtime)
    }

    fn collect(&mut self, tree: &'t Tree, later: &[Later]) -> Result<(), IsoError> {
        let mut numbers: HashMap<&[u8], usize> = HashMap::from([(&[][..], 0)]);
        let mut regular: HashMap<&[u8], (u32, Target)> = HashMap::new();
        let mut same: HashMap<(Digest, u64, u64), usize> = HashMap::new();
        let root = tree.root();
        self.directories.push(Directory::new(root, Vec::new(), 0, 1));
        for (serial, (path, node)) in (2_u32..).zip(tree.iter()) {
            let (parent, name) = split(path);
            if name.len() > LONGEST_NAME {
                return Err(IsoError::Name { path: display(path), len: name.len() });
            }
            let parent = numbers[parent];
            let mut child =
                Child { path, node, identifier: Vec::new(), serial, links: 1, target: Target::Nothing };
            match &node.kind {
                Kind::Directory => {
                    let number = self.directories.len();
                    numbers.insert(path, number);
                    self.directories.push(Directory::new(Some(node), Vec::new(), parent, serial));
                    self.directories[parent].attributes.links += 1;
                    child.target = Target::Directory(number);
                }
                Kind::File(content) => {
                    child.links += tree.links(path).count() as u32;
                    child.target = match later.iter().position(|later| later.path == *path) {
                        Some(at) => Target::Later(at),
                        None => Target::File(self.store(path, node, content, &mut same)),
                    };
                    regular.insert(path, (serial, child.target));
                }
                Kind::Hardlink(file) => {
                    let of_file = tree.get(file);
                    child.node = of_file.unwrap_or(node);
                    child.links += tree.links(file).count() as u32;
                    (child.serial, child.target) = regular[&file[..]];
                }
                Kind::Symlink(target) if target.len() > LONGEST_TARGET => {
                    return Err(IsoError::Link { path: display(path), len: target.len() });
                }
                Kind::Symlink(_) | Kind::CharDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo => {}
            }
            self.directories[parent].children.push(child);
        }
        match self.directories.len() {
            count if count > MOST_DIRECTORIES => Err(IsoError::Directories(count)),
            _ => Ok(()),
        }
    }

    /// Keeps a content, or finds the one that it shares its bytes with: layers that several images have are one file in the cache.
    fn store(
        &mut self,
        path: &'t [u8],
        node: &'t Node,
        content: &'t Content,
        same: &mut HashMap<(Digest, u64, u64), usize>,
    ) -> usize {
        let next = self.files.len();
        if let Content::Stretch { file, offset, len } = content {
            let known = *same.entry((file.digest(), *offset, *len)).or_insert(next);
            if known != next {
                return known;
            }
        }
        self.files.push(Stored { path, node, content, first: 0 });
        next
    }

    /// Gives everything its identifier, and directories their numbers: by depth, then by their parents, then by name.
    fn number(&mut self) -> Result<(), IsoError> {
        for directory in &mut self.directories {
            let names: Vec<_> = directory
                .children
                .iter()
                .map(|child| (split(child.path).1, child.node.is_directory()))
                .collect();
            for (child, identifier) in directory.children.iter_mut().zip(identifiers(&names)) {
                child.identifier = identifier;
            }
            directory.children.sort_by_cached_key(|child| order(&child.identifier));
        }
        let mut at = 0;
        while let Some(&number) = self.numbered.get(at) {
            for child in 0..self.directories[number].children.len() {
                let child = &self.directories[number].children[child];
                if let Target::Directory(below) = child.target {
                    self.numbered.push(below);
                    self.directories[below].identifier = child.identifier.clone();
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// Gives everything its sectors.
    fn place(&mut self, later: &[Later]) -> Result<(), IsoError> {
        let content: u64 = self.files.iter().map(|file| file.content.len()).sum();
        let announced = later.iter().fold(content, |sum, later| sum.saturating_add(later.len));
        if announced > LARGEST {
            return Err(IsoError::TooLarge(announced));
        }
        let table: usize = self.numbered.iter().map(|number| self.path_record_len(*number)).sum();
        self.path_table = Extent { first: PATH_TABLE as u32, len: table as u32 };
        let mut next = PATH_TABLE + 2 * sectors_of(table as u64);
        for at in 0..self.numbered.len() {
            let number = self.numbered[at];
            // How long they are does not depend on where anything lies.
            let (records, areas) = self.encode(number);
            self.directories[number].extent = Extent { first: next as u32, len: records.len() as u32 };
            next += sectors_of(records.len() as u64) + sectors_of(areas.len() as u64);
        }
        for file in &mut self.files {
            file.first = next as u32;
            next += sectors_of(file.content.len());
        }
        for (place, later) in self.later.iter_mut().zip(later) {
            next = next.next_multiple_of(later.alignment.max(1).into());
            place.first = next as u32;
            next += sectors_of(later.len);
        }
        self.sectors = u32::try_from(next).map_err(|_| IsoError::TooLarge(next * SECTOR))?;
        Ok(())
    }

    /// The content of directory `number` and of its continuation areas.
    fn encode(&self, number: usize) -> (Vec<u8>, Vec<u8>) {
        let directory = &self.directories[number];
        let records_end = directory.extent.first + sectors_of(directory.extent.len.into()) as u32;
        let mut areas = Continuation { first: records_end, bytes: Vec::new() };
        let itself = |identifier: &'static [u8], of: &Directory<'_>, first: &[Vec<u8>]| Record {
            identifier,
            first: of.extent.first,
            len: of.extent.len.into(),
            is_directory: true,
            mtime: of.mtime,
            entries: first.iter().cloned().chain([rock_ridge::attributes(of.attributes)]).collect(),
        };
        let introduction = if number == 0 { rock_ridge::introduction().to_vec() } else { Vec::new() };
        let mut records = vec![
            itself(b"\0", directory, &introduction),
            itself(b"\x01", &self.directories[directory.parent], &[]),
        ];
        records.extend(directory.children.iter().map(|child| self.record(child)));
        (record::encode(&records, &mut areas), areas.bytes)
    }

    fn record<'a>(&'a self, child: &'a Child<'_>) -> Record<'a> {
        let (first, len, attributes) = match child.target {
            Target::Directory(number) => {
                let directory = &self.directories[number];
                (directory.extent.first, directory.extent.len.into(), directory.attributes)
            }
            Target::File(at) => (self.files[at].first, self.files[at].content.len(), child.attributes()),
            Target::Later(at) => (self.later[at].first, self.later[at].len, child.attributes()),
            Target::Nothing => (0, 0, child.attributes()),
        };
        let mut entries = vec![rock_ridge::attributes(attributes)];
        entries.extend(rock_ridge::name(split(child.path).1));
        match &child.node.kind {
            Kind::Symlink(target) => entries.extend(rock_ridge::symlink(target)),
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                entries.push(rock_ridge::device(*major, *minor));
            }
            _ => {}
        }
        let (identifier, is_directory) = (&child.identifier[..], child.node.is_directory());
        Record { identifier, first, len, is_directory, mtime: child.node.mtime, entries }
    }

    /// All directories with their continuation areas, each in whole sectors, in the order in which they lie.
    pub(super) fn directories(&self) -> impl Iterator<Item = Vec<u8>> {
        self.numbered.iter().map(|number| {
            let (mut bytes, areas) = self.encode(*number);
            bytes.extend(areas);
            bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
            bytes
        })
    }

    /// The path table (ECMA-119, 9.4), in whole sectors.
    pub(super) fn path_table_bytes(&self, big_endian: bool) -> Vec<u8> {
        let mut places = vec![1_u16; self.directories.len()];
        for (number, place) in self.numbered.iter().zip(1_u16..) {
            places[*number] = place;
        }
        let mut table = Vec::new();
        for number in &self.numbered {
            let directory = &self.directories[*number];
            let identifier = if *number == 0 { &b"\0"[..] } else { &directory.identifier };
            let (first, parent) = (directory.extent.first, places[directory.parent]);
            table.extend([identifier.len() as u8, 0]);
            table.extend(if big_endian { first.to_be_bytes() } else { first.to_le_bytes() });
            table.extend(if big_endian { parent.to_be_bytes() } else { parent.to_le_bytes() });
            table.extend(identifier);
            table.resize(table.len().next_multiple_of(2), 0);
        }
        table.resize(table.len().next_multiple_of(SECTOR as usize), 0);
        table
    }

    fn path_record_len(&self, number: usize) -> usize {
        (8 + self.directories[number].identifier.len().max(1)).next_multiple_of(2)
    }
}

impl Directory<'_> {
    fn new(node: Option<&Node>, identifier: Vec<u8>, parent: usize, serial: u32) -> Self {
        let (mode, uid, gid, mtime) =
            node.map_or((0o755, 0, 0, GENERATED_MTIME), |node| (node.mode, node.uid, node.gid, node.mtime));
        let attributes = Attributes { mode: IS_DIRECTORY | mode, links: 2, uid, gid, serial };
        Self { identifier, parent, attributes, mtime, children: Vec::new(), extent: Extent::default() }
    }
}

impl Child<'_> {
    fn attributes(&self) -> Attributes {
        let kind = match self.node.kind {
            Kind::Directory => IS_DIRECTORY,
            Kind::File(_) | Kind::Hardlink(_) => IS_FILE,
            Kind::Symlink(_) => IS_LINK,
            Kind::CharDevice { .. } => IS_CHAR,
            Kind::BlockDevice { .. } => IS_BLOCK,
            Kind::Fifo => IS_PIPE,
        };
        let Node { mode, uid, gid, .. } = *self.node;
        Attributes { mode: kind | mode, links: self.links, uid, gid, serial: self.serial }
    }
}

fn sectors_of(len: u64) -> u64 {
    len.div_ceil(SECTOR)
}
