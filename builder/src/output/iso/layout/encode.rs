//! Directories and path table as they lie on the disk.

use super::{Child, Directory, Layout, Target, sectors_of};
use crate::output::iso::SECTOR;
use crate::output::iso::record::{self, Record};
use crate::output::iso::rock_ridge::{self, Continuation};
use crate::tree::{Kind, split};

impl Layout<'_> {
    /// The root directory as the volume descriptor has it.
    pub(in crate::output::iso) fn root_record(&self) -> Vec<u8> {
        record::root(self.directories[0].extent, self.directories[0].mtime)
    }

    /// The content of directory `number` and of its continuation areas.
    pub(super) fn encode(&self, number: usize) -> (Vec<u8>, Vec<u8>) {
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
    pub(in crate::output::iso) fn directories(&self) -> impl Iterator<Item = Vec<u8>> {
        self.numbered.iter().map(|number| {
            let (mut bytes, areas) = self.encode(*number);
            bytes.extend(areas);
            bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
            bytes
        })
    }

    /// The path table (ECMA-119, 9.4), in whole sectors.
    pub(in crate::output::iso) fn path_table_bytes(&self, big_endian: bool) -> Vec<u8> {
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

    pub(super) fn path_record_len(&self, number: usize) -> usize {
        (8 + self.directories[number].identifier.len().max(1)).next_multiple_of(2)
    }
}
