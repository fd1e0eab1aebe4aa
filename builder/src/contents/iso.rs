//! ISO 9660 with Rock Ridge.
//!
//! Source: ECMA-119; SUSP 1.12; RRIP 1.12. Numbers are there in both orders; the little-endian ones are read.

mod rock_ridge;

use std::collections::HashMap;
use std::io;

use super::bytes::Bytes;
use super::damaged;
use super::field::{le32, part};
use super::found::{Found, Gathered, What, below, what};
use super::{Inside, Part, Reader, Role};
use rock_ridge::RockRidge;

pub(super) const SECTOR: u64 = 2048;
/// The first volume descriptor, and most of them.
const DESCRIPTORS: (u64, u64) = (16, 64);
/// Bytes before the volume descriptors, which disks use.
const SYSTEM_AREA: u64 = 16 * SECTOR;
/// Bytes of a record without its name.
const FIXED: usize = 33;
/// Largest directory that is read, in bytes.
const MAX_DIRECTORY: u64 = 256 << 20;
/// Most extents of a file.
const MAX_EXTENTS: usize = 1 << 16;
const DIRECTORY: u8 = 2;
const NOT_THE_LAST: u8 = 0x80;

/// Reads ISO 9660.
#[derive(Debug)]
pub(super) struct Iso;

impl Reader for Iso {
    fn called(&self) -> &'static str {
        "CD"
    }

    fn recognises(&self, bytes: &Bytes) -> io::Result<bool> {
        let start = SYSTEM_AREA + 1;
        Ok(bytes.len() > start + 5 && bytes.read(start, 5)? == b"CD001")
    }

    fn read(&self, bytes: &Bytes) -> io::Result<Inside> {
        let mut gathered = Gathered::default();
        let mut inside = Inside { boots: true, ..Inside::default() };
        let system = bytes.slice(0, SYSTEM_AREA)?;
        if !system.is_zeros()? {
            inside.parts.push(Part {
                name: "system area".into(),
                bytes: system,
                role: Role::Raw,
                facts: Vec::new(),
            });
        }
        let root = root(bytes)?;
        Volume { bytes, skip: rock_ridge::skip(bytes, &root)? }.walk(&root, &mut gathered)?;
        inside.files = gathered.finish();
        Ok(inside)
    }
}

/// The record of the root directory, in the primary volume descriptor.
fn root(bytes: &Bytes) -> io::Result<Record> {
    for sector in DESCRIPTORS.0..DESCRIPTORS.0 + DESCRIPTORS.1 {
        let descriptor = bytes.read(sector * SECTOR, SECTOR as usize)?;
        match descriptor[0] {
            1 => return Record::of(part(&descriptor, 156, 34)?),
            255 => break,
            _ => {}
        }
    }
    Err(damaged("it has no primary volume descriptor"))
}

/// One name in a directory.
#[derive(Debug, Clone)]
pub(super) struct Record {
    name: Vec<u8>,
    pub(super) first: u64,
    pub(super) len: u64,
    flags: u8,
    /// What is behind the name.
    pub(super) system_use: Vec<u8>,
}

impl Record {
    fn of(bytes: &[u8]) -> io::Result<Self> {
        let name_len = usize::from(part(bytes, 32, 1)?[0]);
        // A byte makes the length of what is before the entries an even number.
        let behind = FIXED + (name_len | 1);
        Ok(Self {
            name: part(bytes, FIXED, name_len)?.to_vec(),
            first: u64::from(le32(bytes, 2)?) * SECTOR,
            len: le32(bytes, 10)?.into(),
            flags: part(bytes, 25, 1)?[0],
            system_use: bytes.get(behind..).unwrap_or_default().to_vec(),
        })
    }
}

/// The records of a directory, the first two of which are the directory itself and its parent.
pub(super) fn records(bytes: &Bytes, directory: &Record) -> io::Result<Vec<Record>> {
    if directory.len > MAX_DIRECTORY {
        return Err(damaged("a directory is larger than any real one"));
    }
    let content = bytes.read(directory.first, directory.len as usize)?;
    let mut records = Vec::new();
    // No record crosses the end of a sector.
    for sector in content.chunks(SECTOR as usize) {
        let mut at = 0;
        while let Some(len @ 1..) = sector.get(at).copied().map(usize::from) {
            records.push(Record::of(part(sector, at, len)?)?);
            at += len;
        }
    }
    Ok(records)
}

struct Volume<'a> {
    bytes: &'a Bytes,
    /// Bytes before Rock Ridge's in what is behind a name; `None` if there is none.
    skip: Option<usize>,
}

impl Volume<'_> {
    /// Every entry, directories before what is in them.
    fn walk(&self, root: &Record, gathered: &mut Gathered) -> io::Result<()> {
        let mut names: HashMap<u32, Vec<u8>> = HashMap::new();
        gathered.enter(root.first, root.len)?;
        let mut open = vec![(Vec::new(), root.clone())];
        while let Some((path, directory)) = open.pop() {
            let mut extents = Vec::new();
            for record in records(self.bytes, &directory)?.into_iter().skip(2) {
                extents.push((Some(record.first), record.len));
                if record.flags & NOT_THE_LAST != 0 {
                    if extents.len() > MAX_EXTENTS {
                        return Err(damaged("a file is in more pieces than any real one"));
                    }
                    continue;
                }
                let extents = std::mem::take(&mut extents);
                let mut found = self.entry(&path, &record, extents, &mut names)?;
                if record.flags & DIRECTORY != 0 {
                    gathered.enter(record.first, record.len)?;
                    found.what = What::Directory;
                    open.push((found.path.clone(), record));
                }
                gathered.add(found)?;
            }
        }
        Ok(())
    }

    fn entry(
        &self,
        directory: &[u8],
        record: &Record,
        extents: Vec<(Option<u64>, u64)>,
        names: &mut HashMap<u32, Vec<u8>>,
    ) -> io::Result<Found> {
        let content = || match record.len {
            // Where nothing is need not be in the volume.
            0 if extents.len() == 1 => self.bytes.slice(0, 0),
            _ => self.bytes.gather(extents),
        };
        let Some(skip) = self.skip else {
            let path = below(directory, &plain(&record.name))?;
            return match record.flags & DIRECTORY {
                0 => Ok(Found::file(path, content()?)),
                _ => Ok(Found::plain(path, What::Directory, 0o755)),
            };
        };
        let more = RockRidge::of(self.bytes, record, skip)?;
        let name = if more.name.is_empty() { plain(&record.name) } else { more.name };
        let path = below(directory, &name)?;
        let mut link_to = None;
        let is_directory = record.flags & DIRECTORY != 0;
        if more.links > 1 && more.serial != 0 && !is_directory {
            link_to = names.get(&more.serial).cloned();
            names.entry(more.serial).or_insert_with(|| path.clone());
        }
        let what = what(more.mode, more.device, content, || Ok(more.target))?;
        let (mode, uid, gid) = (more.mode & 0o7777, more.uid, more.gid);
        Ok(Found { what, mode, uid, gid, link_to, ..Found::plain(path, What::Directory, 0) })
    }
}

/// A name without Rock Ridge: small letters, and no version.
fn plain(name: &[u8]) -> Vec<u8> {
    let name = name.split(|byte| *byte == b';').next().unwrap_or_default();
    name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase()
}
