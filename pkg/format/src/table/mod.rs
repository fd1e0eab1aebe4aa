//! Partition tables with one Linux partition over the disk, as bytes to be written in a given order.
//!
//! The first and the last MiB of the disk belong to the table, whatever its kind, and the partition lies
//! between. So making a file system never changes those two, and whether they are all zero says whether the
//! disk has been finished.
//!
//! The last write of each kind is the disk's first sector, which drives write whole or not at all. Until then
//! neither the kernel nor `blkid` sees a table: both look for the protective MBR before they believe a GPT.

pub mod crc32;
mod gpt;
pub mod mbr;

use lk_command::size::{Bytes, MIB};

/// The bytes at each end of the disk that belong to the table.
pub const EDGE: u64 = MIB;

/// The kind of partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// An MBR, up to 2 TiB.
    Dos,
    /// A GPT.
    Gpt,
}

impl TableKind {
    /// Its name on the command line and in `blkid`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dos => "dos",
            Self::Gpt => "gpt",
        }
    }
}

/// Why a disk cannot have the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// There is no room between the two edges.
    #[error("{} is too small for a partition", Bytes(*.0))]
    TooSmall(u64),
    /// The sector size is none that tables are defined for.
    #[error("sectors of {0} bytes are not supported")]
    Sector(u32),
    /// An MBR counts sectors with 32 bits.
    #[error("{} is more than a dos partition table can describe; use -partition gpt", Bytes(*.0))]
    TooLargeForDos(u64),
}

/// Where things lie on a disk, counted in its logical sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bytes in a sector.
    pub sector: u32,
    /// Sectors of the disk.
    pub sectors: u64,
    /// First sector of the partition.
    pub start: u64,
    /// Sectors of the partition.
    pub length: u64,
}

impl Layout {
    /// The layout of a disk of `size` bytes: the partition is aligned to 1 MiB at both ends.
    pub fn of(size: u64, sector: u32) -> Result<Self, LayoutError> {
        if !matches!(sector, 512 | 1024 | 2048 | 4096) {
            return Err(LayoutError::Sector(sector));
        }
        let end = size.saturating_sub(EDGE) / MIB * MIB;
        if end < EDGE + MIB {
            return Err(LayoutError::TooSmall(size));
        }
        let unit = u64::from(sector);
        Ok(Self { sector, sectors: size / unit, start: EDGE / unit, length: (end - EDGE) / unit })
    }

    /// The partition's first byte.
    pub fn start_bytes(&self) -> u64 {
        self.start * u64::from(self.sector)
    }

    /// The partition's size in bytes.
    pub fn length_bytes(&self) -> u64 {
        self.length * u64::from(self.sector)
    }

    /// The kind of table that fits when none was asked for: an MBR as LinuxKit makes it, a GPT when that is
    /// too small.
    pub fn usual_kind(&self) -> TableKind {
        match u32::try_from(self.start + self.length) {
            Ok(_) => TableKind::Dos,
            Err(_) => TableKind::Gpt,
        }
    }
}

/// What tells this table from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// GUID of the disk, as stored; an MBR uses its first four bytes.
    pub disk: [u8; 16],
    /// GUID of the partition, as stored.
    pub partition: [u8; 16],
}

impl Identity {
    /// An identity made of 32 random bytes: two version 4 UUIDs (RFC 9562, 5.4), in GPT's mixed byte order.
    pub fn from_random(mut random: [u8; 32]) -> Self {
        // The version is in the third field, which is stored little-endian.
        for start in [0, 16] {
            random[start + 7] = (random[start + 7] & 0x0f) | 0x40;
            random[start + 8] = (random[start + 8] & 0x3f) | 0x80;
            // An MBR without a signature would be all zeros here.
            random[start] |= 1;
        }
        let half = |at: usize| std::array::from_fn(|i| random[at + i]);
        Self { disk: half(0), partition: half(16) }
    }
}

/// Bytes for one place on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// First byte on the disk.
    pub offset: u64,
    /// What to write there.
    pub bytes: Vec<u8>,
}

/// The table's writes, each of which must be on the disk before the next begins.
pub fn writes(kind: TableKind, layout: &Layout, identity: &Identity) -> Result<Vec<Write>, LayoutError> {
    match kind {
        TableKind::Dos => mbr::writes(layout, identity),
        TableKind::Gpt => Ok(gpt::writes(layout, identity)),
    }
}

/// Whether the two edges of a disk hold exactly what a power cut leaves of our own unfinished table: some of
/// its sectors, each whole, the rest zero, and not yet the first one. Such a disk never had a partition that
/// anybody could have seen.
///
/// An MBR is a single write, so only a GPT can be unfinished.
pub fn is_unfinished(first: &[u8], last: &[u8], layout: &Layout) -> bool {
    gpt::is_unfinished(first, last, layout)
}

/// The disk's edges with `writes` on them and zeros elsewhere.
#[cfg(test)]
fn edges(layout: &Layout, writes: &[Write]) -> (Vec<u8>, Vec<u8>) {
    let size = layout.sectors * u64::from(layout.sector);
    let mut first = vec![0; EDGE as usize];
    let mut last = vec![0; EDGE as usize];
    for write in writes {
        let (edge, at) = match write.offset < EDGE {
            true => (&mut first, write.offset as usize),
            false => (&mut last, (write.offset - (size - EDGE)) as usize),
        };
        edge[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
    }
    (first, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_is_aligned_and_leaves_the_edges_alone() {
        for (size, sector) in
            [(16 * MIB, 512), (16 * MIB + 512, 512), (10 << 40, 4096), (3 * MIB, 512), (4 * MIB - 512, 512)]
        {
            let layout = Layout::of(size, sector).unwrap();
            let end = layout.start_bytes() + layout.length_bytes();
            assert_eq!(layout.start_bytes() % MIB, 0);
            assert_eq!(end % MIB, 0);
            assert!(layout.start_bytes() >= EDGE && end <= size - EDGE, "{layout:?}");
            assert!(size - EDGE - end < MIB, "{layout:?}");
        }
    }

    #[test]
    fn disks_that_cannot_be_partitioned_are_refused() {
        assert_eq!(Layout::of(0, 512), Err(LayoutError::TooSmall(0)));
        assert_eq!(Layout::of(3 * MIB - 512, 512), Err(LayoutError::TooSmall(3 * MIB - 512)));
        assert_eq!(Layout::of(1 << 30, 520), Err(LayoutError::Sector(520)));
    }

    #[test]
    fn a_disk_of_more_than_two_tebibytes_gets_a_gpt() {
        assert_eq!(Layout::of(2 << 40, 512).unwrap().usual_kind(), TableKind::Dos);
        let large = Layout::of(3 << 40, 512).unwrap();
        assert_eq!(large.usual_kind(), TableKind::Gpt);
        let message =
            writes(TableKind::Dos, &large, &Identity::from_random([7; 32])).unwrap_err().to_string();
        assert!(message.contains("3 TiB") && message.contains("-partition gpt"), "{message}");
    }
}
