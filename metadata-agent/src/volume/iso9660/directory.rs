//! Directory records (ECMA-119, 9.1): names, and where their bytes are.

use super::rock_ridge::{self, Kind};
use super::{SECTOR, SECTOR_LENGTH};
use crate::volume::Fault;
use crate::volume::field::{u8_at, u32_at};
use crate::volume::image::{Image, read};

/// A record's fixed part, in bytes.
const HEADER: usize = 33;
/// Names in one directory.
const MAX_ENTRIES: usize = 16 * 1024;

const FLAG_DIRECTORY: u8 = 0x02;
const FLAG_MORE_EXTENTS: u8 = 0x80;

/// Where the names of a volume come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Names {
    /// From the records themselves.
    Plain,
    /// From the records, in UCS-2, most significant byte first.
    Joliet,
    /// From `NM` behind them, so many bytes after each record's name.
    RockRidge {
        /// In bytes.
        skip: usize,
    },
}

/// A run of blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) block: u32,
    pub(super) length: u32,
}

impl Extent {
    /// All of it, if it is within the image and not above the limit.
    pub(super) fn read(self, image: &dyn Image, limit: usize) -> Result<Vec<u8>, Fault> {
        let length = self.length as usize;
        if length > limit {
            return Err(Fault::TooLarge(limit));
        }
        let bytes = read(image, u64::from(self.block) * SECTOR, length)?;
        bytes.ok_or(Fault::Damaged("a file or directory reaches beyond the end"))
    }
}

/// A file or directory.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) extent: Extent,
    pub(super) directory: bool,
}

/// The entries of a directory, given its bytes, without itself and its parent, links and devices.
pub(super) fn entries(image: &dyn Image, directory: &[u8], names: Names) -> Result<Vec<Entry>, Fault> {
    let mut entries = Vec::new();
    for sector in directory.chunks(SECTOR_LENGTH) {
        let mut rest = sector;
        // No record crosses a sector's end; zeros fill it up.
        while let Some(length @ 1..) = u8_at(rest, 0).map(usize::from) {
            let (record, after) =
                rest.split_at_checked(length).ok_or(Fault::Damaged("a directory record crosses a sector"))?;
            entries.extend(entry(image, record, names)?);
            if entries.len() > MAX_ENTRIES {
                return Err(Fault::Damaged("a directory has too many entries"));
            }
            rest = after;
        }
    }
    Ok(entries)
}

fn entry(image: &dyn Image, record: &[u8], names: Names) -> Result<Option<Entry>, Fault> {
    let short = Fault::Damaged("a directory record is short");
    let parse = || {
        let extent = Extent { block: u32_at(record, 2)?, length: u32_at(record, 10)? };
        let flags = u8_at(record, 25)?;
        let interleaved = u8_at(record, 26)? != 0 || u8_at(record, 27)? != 0;
        let length = usize::from(u8_at(record, 32)?);
        Some((extent, flags, interleaved, record.get(HEADER..HEADER + length)?))
    };
    let (mut extent, flags, interleaved, identifier) = parse().ok_or(short)?;
    if matches!(identifier, [0 | 1]) {
        return Ok(None); // itself, its parent
    }
    if interleaved || flags & FLAG_MORE_EXTENTS != 0 {
        return Err(Fault::Unsupported("files in several pieces"));
    }
    // The extended attributes come before what is in the file.
    let attributes = u32::from(u8_at(record, 1).unwrap_or_default());
    extent.block = extent.block.checked_add(attributes).ok_or(Fault::Damaged("a block number overflows"))?;
    let directory = flags & FLAG_DIRECTORY != 0;
    let name = match names {
        Names::Plain => plain(&String::from_utf8_lossy(identifier)).to_owned(),
        Names::Joliet => joliet(identifier),
        Names::RockRidge { skip } => {
            // A name of even length is padded, so that what follows is even.
            let after = HEADER + identifier.len() + usize::from(identifier.len() % 2 == 0) + skip;
            let found = rock_ridge::read(image, record.get(after..).unwrap_or_default())?;
            if found.kind == Kind::Other {
                return Ok(None);
            }
            found.name.unwrap_or_else(|| plain(&String::from_utf8_lossy(identifier)).to_owned())
        }
    };
    Ok(Some(Entry { name, extent, directory }))
}

/// Without the version (`;1`), and without the dot of an empty extension.
fn plain(identifier: &str) -> &str {
    let name = identifier.rsplit_once(';').map_or(identifier, |(name, _)| name);
    name.strip_suffix('.').unwrap_or(name)
}

fn joliet(identifier: &[u8]) -> String {
    let (pairs, _odd) = identifier.as_chunks::<2>();
    let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    let name: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    name.rsplit_once(';').map_or(name.as_str(), |(name, _)| name).to_owned()
}
