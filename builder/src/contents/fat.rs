//! FAT12, FAT16 and FAT32, with long names.
//!
//! Source: Microsoft, "FAT: General Overview of On-Disk Format" 1.03. All numbers are little-endian.

mod name;

use std::io;

use super::bytes::Bytes;
use super::damaged;
use super::field::{le16, le32};
use super::found::{Found, Gathered, What, below};
use super::{Inside, Reader};
use name::Names;

/// Bytes of an entry of a directory.
const ENTRY: usize = 32;
/// Most bytes of a directory: 65536 entries.
const MAX_DIRECTORY: u64 = 65_536 * ENTRY as u64;
/// Of an entry: attributes.
const VOLUME: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG_NAME: u8 = 0x0F;
/// The first byte of an entry that is no longer there.
const DELETED: u8 = 0xE5;

/// Reads FAT.
#[derive(Debug)]
pub(super) struct Fat;

impl Reader for Fat {
    fn called(&self) -> &'static str {
        "FAT"
    }

    fn recognises(&self, bytes: &Bytes) -> io::Result<bool> {
        let start = bytes.start(512)?;
        let jumps = matches!(start.as_slice(), [0xEB, _, 0x90, ..] | [0xE9, ..]);
        Ok(jumps && start.ends_with(&[0x55, 0xAA]) && Geometry::of(&start, bytes.len()).is_ok())
    }

    fn read(&self, bytes: &Bytes) -> io::Result<Inside> {
        let geometry = Geometry::of(&bytes.start(512)?, bytes.len())?;
        let mut volume = Volume { left: geometry.clusters, geometry, bytes };
        Ok(Inside { files: volume.walk()?, boots: true, ..Inside::default() })
    }
}

/// Where things are, in bytes but for numbers of clusters.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    cluster: u64,
    table: u64,
    /// Bits of an entry of the table.
    width: u32,
    clusters: u32,
    /// The first byte of cluster 2.
    data: u64,
    root: Root,
}

#[derive(Debug, Clone, Copy)]
enum Root {
    /// Before the clusters.
    Fixed { start: u64, len: u64 },
    /// As all others: its first cluster.
    Chain(u32),
}

impl Geometry {
    fn of(sector: &[u8], len: u64) -> io::Result<Self> {
        let bad = || damaged("its boot sector describes no file system");
        let byte = |at: usize| sector.get(at).copied().map(u64::from).ok_or_else(bad);
        let (bytes, per_cluster, tables) = (u64::from(le16(sector, 11)?), byte(13)?, byte(16)?);
        let sizes = bytes.is_power_of_two() && (512..=4096).contains(&bytes);
        if !sizes || !per_cluster.is_power_of_two() || !(1..=2).contains(&tables) {
            return Err(bad());
        }
        let either = |short: u16, long: u32| if short == 0 { u64::from(long) } else { u64::from(short) };
        let table_sectors = either(le16(sector, 22)?, le32(sector, 36)?);
        let all = either(le16(sector, 19)?, le32(sector, 32)?);
        let reserved = u64::from(le16(sector, 14)?);
        let root_len = u64::from(le16(sector, 17)?) * ENTRY as u64;
        let root_start = reserved + tables * table_sectors;
        let data = root_start + root_len.div_ceil(bytes);
        if reserved == 0 || table_sectors == 0 || data >= all || all * bytes > len {
            return Err(bad());
        }
        let clusters = u32::try_from((all - data) / per_cluster).map_err(|_| bad())?;
        // The number of clusters, and nothing else, says how wide the entries are.
        let width = match clusters {
            ..4085 => 12,
            4085..65525 => 16,
            _ => 32,
        };
        if (u64::from(clusters) + 2) * u64::from(width) > table_sectors * bytes * 8 {
            return Err(bad());
        }
        let root = match width {
            32 => Root::Chain(le32(sector, 44)?),
            _ => Root::Fixed { start: root_start * bytes, len: root_len },
        };
        let (cluster, table, data) = (bytes * per_cluster, reserved * bytes, data * bytes);
        Ok(Self { cluster, table, width, clusters, data, root })
    }
}

struct Volume<'a> {
    geometry: Geometry,
    bytes: &'a Bytes,
    /// Clusters that no chain has led to yet: together, all chains have no more than there are.
    left: u32,
}

impl Volume<'_> {
    /// Every entry, directories before what is in them.
    fn walk(&mut self) -> io::Result<Vec<Found>> {
        let mut gathered = Gathered::default();
        let root = match self.geometry.root {
            Root::Fixed { start, len } => self.bytes.slice(start, len)?,
            Root::Chain(first) => self.chain(first)?,
        };
        let mut open = vec![(Vec::new(), root)];
        while let Some((path, directory)) = open.pop() {
            if directory.len() > MAX_DIRECTORY {
                return Err(damaged("a directory is larger than directories can be"));
            }
            for Entry { name, attributes, first, size } in entries(&directory)? {
                let path = below(&path, name.as_bytes())?;
                if attributes & DIRECTORY != 0 {
                    // Chains are nowhere twice, and so directories are not either.
                    open.push((path.clone(), self.chain(first)?));
                    gathered.add(Found::plain(path, What::Directory, 0o755))?;
                } else {
                    let content = if size == 0 { self.bytes.slice(0, 0)? } else { self.chain(first)? };
                    gathered.add(Found::file(path, content.slice(0, size.into())?))?;
                }
            }
        }
        Ok(gathered.finish())
    }

    /// The clusters from this one on, to the end of their chain.
    fn chain(&mut self, first: u32) -> io::Result<Bytes> {
        let Geometry { cluster, data, clusters, width, .. } = self.geometry;
        let end = match width {
            12 => 0xFF8,
            16 => 0xFFF8,
            _ => 0x0FFF_FFF8,
        };
        let (mut pieces, mut next) = (Vec::new(), first);
        while next < end {
            let number = next.checked_sub(2).filter(|number| *number < clusters);
            let number = number.ok_or_else(|| damaged("a chain leads to a cluster that there is not"))?;
            self.left =
                self.left.checked_sub(1).ok_or_else(|| damaged("two chains have the same clusters"))?;
            pieces.push((Some(data + u64::from(number) * cluster), cluster));
            next = self.next(next)?;
        }
        self.bytes.gather(pieces)
    }

    /// What the table has for a cluster.
    fn next(&self, number: u32) -> io::Result<u32> {
        let Geometry { table, width, .. } = self.geometry;
        let number = u64::from(number);
        Ok(match width {
            12 => {
                let pair = u32::from(le16(&self.bytes.read(table + number * 3 / 2, 2)?, 0)?);
                if number % 2 == 0 { pair & 0xFFF } else { pair >> 4 }
            }
            16 => le16(&self.bytes.read(table + number * 2, 2)?, 0)?.into(),
            _ => le32(&self.bytes.read(table + number * 4, 4)?, 0)? & 0x0FFF_FFFF,
        })
    }
}

struct Entry {
    name: String,
    attributes: u8,
    first: u32,
    size: u32,
}

/// The entries of a directory, without `.`, `..` and the volume's own name.
fn entries(directory: &Bytes) -> io::Result<Vec<Entry>> {
    let bytes = directory.start(MAX_DIRECTORY)?;
    let (mut entries, mut names) = (Vec::new(), Names::default());
    for entry in bytes.chunks_exact(ENTRY) {
        let attributes = entry[11];
        match entry[0] {
            0 => break,
            DELETED => names.forget(),
            _ if attributes & 0x3F == LONG_NAME => names.part(entry)?,
            b'.' => names.forget(),
            _ if attributes & VOLUME != 0 => names.forget(),
            _ => {
                let first = u32::from(le16(entry, 20)?) << 16 | u32::from(le16(entry, 26)?);
                entries.push(Entry { name: names.of(entry)?, attributes, first, size: le32(entry, 28)? });
            }
        }
    }
    Ok(entries)
}
