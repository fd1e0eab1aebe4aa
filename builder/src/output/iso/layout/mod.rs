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
//!
//! | file | duty |
//! |---|---|
//! | `mod.rs` | gives everything its sectors |
//! | `collect.rs` | a tree → directories with their children, identifiers and numbers |
//! | `encode.rs` | directories and path table as they lie on the disk |

mod collect;
mod encode;

use super::record::Extent;
use super::rock_ridge::Attributes;
use super::{IsoError, LARGEST, SECTOR};
use crate::tree::{Content, Node, Tree, TreePath};

/// The first sector behind the volume descriptors.
const PATH_TABLE: u64 = 19;
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
}

fn sectors_of(len: u64) -> u64 {
    len.div_ceil(SECTOR)
}
