//! Where the parts of a FAT volume are, and which clusters follow which.

use crate::volume::Fault;
use crate::volume::field::{u8_at, u16_at, u32_at};
use crate::volume::image::{self, Image};

/// In bytes, whatever the volume's own sectors are.
const BOOT_SECTOR: usize = 512;
/// One directory entry, in bytes.
const ENTRY: u64 = 32;
/// Clusters below this number make it FAT12.
const MAX_FAT12: u64 = 4085;
/// The first two entries of the table stand for no cluster.
const FIRST_CLUSTER: u32 = 2;
/// Largest cluster, in bytes, as Linux and Windows have it.
const MAX_CLUSTER: u64 = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Fat12,
    Fat16,
    Fat32,
}

/// Where a file or directory begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// The root directory of FAT12 and FAT16, which has a place of its own.
    Root,
    /// A chain of clusters.
    Cluster(u32),
}

/// All offsets and lengths are in bytes.
#[derive(Debug)]
pub(super) struct Geometry {
    width: Width,
    cluster: u64,
    clusters: u64,
    table: u64,
    root_offset: u64,
    root_length: u64,
    root_cluster: u32,
    data: u64,
}

/// The volume's geometry and the label in its boot sector; none if there is no FAT volume.
pub(super) fn read(image: &dyn Image) -> Result<Option<(Geometry, String)>, Fault> {
    let Some(boot) = image::read(image, 0, BOOT_SECTOR)? else { return Ok(None) };
    let jump = matches!(boot.as_slice(), [0xeb, _, 0x90, ..] | [0xe9, ..]);
    if !jump || boot.get(510..) != Some([0x55, 0xaa].as_slice()) {
        return Ok(None);
    }
    let Some(geometry) = parse(&boot) else { return Ok(None) };
    let end = geometry.data.saturating_add(geometry.clusters.saturating_mul(geometry.cluster));
    if end > image.size() {
        return Err(Fault::Damaged("it is larger than its device"));
    }
    let (signature, label) = if geometry.width == Width::Fat32 { (66, 71) } else { (38, 43) };
    let label = match u8_at(&boot, signature) {
        Some(0x29) => boot.get(label..label + 11).map(super::directory::label_text).unwrap_or_default(),
        _ => String::new(),
    };
    Ok(Some((geometry, label)))
}

/// None for a boot sector that is not FAT's, such as a partition table's.
fn parse(boot: &[u8]) -> Option<Geometry> {
    let word = |offset| u16_at(boot, offset).map(u64::from);
    let long = |offset| u32_at(boot, offset).map(u64::from);
    let sector = word(11).filter(|s| s.is_power_of_two() && (512..=4096).contains(s))?;
    let cluster = u64::from(u8_at(boot, 13)?);
    let cluster = Some(cluster * sector).filter(|c| c.is_power_of_two() && *c <= MAX_CLUSTER)?;
    let reserved = word(14).filter(|&r| r > 0)?;
    let tables = u64::from(u8_at(boot, 16)?);
    let root_entries = word(17)?;
    let total = word(19).filter(|&t| t > 0).or_else(|| long(32))?;
    let is_32 = word(22)? == 0;
    let table_length = if is_32 { long(36)? } else { word(22)? };
    if tables == 0 || table_length == 0 || !matches!(u8_at(boot, 21)?, 0xf0 | 0xf8..) {
        return None;
    }
    let root_sector = reserved + tables * table_length;
    let root_length = root_entries * ENTRY;
    let data_sector = root_sector + root_length.div_ceil(sector);
    let clusters = total.checked_sub(data_sector)? * sector / cluster;
    let width = match clusters {
        _ if is_32 => Width::Fat32,
        ..MAX_FAT12 => Width::Fat12,
        _ => Width::Fat16,
    };
    let bits = match width {
        Width::Fat12 => 12,
        Width::Fat16 => 16,
        Width::Fat32 => 32,
    };
    // What the table has no room for does not exist.
    let room = (table_length * sector * 8 / bits).saturating_sub(u64::from(FIRST_CLUSTER));
    Some(Geometry {
        width,
        cluster,
        clusters: clusters.min(room),
        table: reserved * sector,
        root_offset: root_sector * sector,
        root_length,
        root_cluster: if is_32 { u32_at(boot, 44)? } else { 0 },
        data: data_sector * sector,
    })
}

impl Geometry {
    /// Where the root directory begins.
    pub(super) fn root(&self) -> Start {
        if self.width == Width::Fat32 { Start::Cluster(self.root_cluster) } else { Start::Root }
    }

    /// What is in a file or directory, to the end of its last cluster; at most `limit` bytes and the rest of a cluster.
    pub(super) fn chain(&self, image: &dyn Image, start: Start, limit: usize) -> Result<Vec<u8>, Fault> {
        let beyond = Fault::Damaged("a cluster is beyond the end");
        let Start::Cluster(mut cluster) = start else {
            let length = usize::try_from(self.root_length).unwrap_or(usize::MAX);
            return image::read(image, self.root_offset, length)?.ok_or(beyond);
        };
        let mut bytes = Vec::new();
        // A chain that runs in a circle ends at the limit.
        while bytes.len() < limit {
            let index = cluster.checked_sub(FIRST_CLUSTER).map(u64::from).filter(|i| *i < self.clusters);
            let index = index.ok_or(Fault::Damaged("a chain leads to a cluster that is not there"))?;
            let offset = self.data + index * self.cluster;
            let length = usize::try_from(self.cluster).unwrap_or(usize::MAX);
            let Some(read) = image::read(image, offset, length)? else { return Err(beyond) };
            bytes.extend(read);
            match self.next(image, cluster)? {
                Some(next) => cluster = next,
                None => break,
            }
        }
        Ok(bytes)
    }

    /// The cluster after this one; none after the last.
    fn next(&self, image: &dyn Image, cluster: u32) -> Result<Option<u32>, Fault> {
        let cluster = u64::from(cluster);
        let (offset, last) = match self.width {
            Width::Fat12 => (cluster + cluster / 2, 0xff8),
            Width::Fat16 => (cluster * 2, 0xfff8),
            Width::Fat32 => (cluster * 4, 0x0fff_fff8),
        };
        let length = if self.width == Width::Fat32 { 4 } else { 2 };
        let bytes = image::read(image, self.table + offset, length)?;
        let bytes = bytes.ok_or(Fault::Damaged("the table of clusters is beyond the end"))?;
        let short = u32::from(u16_at(&bytes, 0).unwrap_or_default());
        let next = match self.width {
            Width::Fat12 if cluster % 2 == 1 => short >> 4,
            Width::Fat12 => short & 0xfff,
            Width::Fat16 => short,
            // The upper four bits are somebody else's.
            Width::Fat32 => u32_at(&bytes, 0).unwrap_or_default() & 0x0fff_ffff,
        };
        Ok((next < last).then_some(next))
    }
}
