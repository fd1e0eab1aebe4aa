//! The master boot record: boot code, and a partition table of one entry.
//!
//! Layout (as every PC BIOS reads it): 0..440 boot code, 440..444 disk signature, 446..510 four entries of 16 bytes,
//! 510..512 `55 AA`. An entry: status, first sector as CHS, type, last sector as CHS, first sector and length as
//! 32-bit little-endian sector numbers.

/// Bytes in a sector.
pub const SECTOR: u64 = 512;
/// How much of the sector is boot code.
pub const CODE: usize = 440;

const SIGNATURE: usize = 440;
const FIRST_ENTRY: usize = 446;
const ACTIVE: u8 = 0x80;

/// Where a partition lies and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The type byte: 0x0E for FAT16, 0x0C for FAT32, both addressed by LBA.
    pub kind: u8,
    /// First sector, counted from the start of the disk.
    pub first: u32,
    /// Length in sectors.
    pub sectors: u32,
}

/// The first sector of a disk whose only partition is `partition`, marked active.
#[must_use]
pub fn sector(code: &[u8; CODE], disk_signature: u32, partition: Partition) -> [u8; SECTOR as usize] {
    let mut sector = [0; SECTOR as usize];
    sector[..CODE].copy_from_slice(code);
    sector[SIGNATURE..SIGNATURE + 4].copy_from_slice(&disk_signature.to_le_bytes());

    let entry = &mut sector[FIRST_ENTRY..FIRST_ENTRY + 16];
    entry[0] = ACTIVE;
    entry[1..4].copy_from_slice(&chs(partition.first));
    entry[4] = partition.kind;
    entry[5..8].copy_from_slice(&chs(partition.first.saturating_add(partition.sectors.saturating_sub(1))));
    entry[8..12].copy_from_slice(&partition.first.to_le_bytes());
    entry[12..16].copy_from_slice(&partition.sectors.to_le_bytes());

    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}

/// A sector number as cylinder, head and sector of the customary 255 × 63 geometry, saturated beyond its reach.
fn chs(lba: u32) -> [u8; 3] {
    let (cylinder, head, sector) = (lba / (255 * 63), lba / 63 % 255, lba % 63 + 1);
    match cylinder {
        0..=1023 => [head as u8, sector as u8 | (cylinder >> 2 & 0xC0) as u8, cylinder as u8],
        _ => [0xFE, 0xFF, 0xFF],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_names_type_place_and_length() {
        let sector =
            sector(&[0x90; CODE], 0x1234_5678, Partition { kind: 0x0C, first: 2048, sectors: 81_920 });
        assert_eq!(sector[..CODE], [0x90; CODE]);
        assert_eq!(sector[440..446], [0x78, 0x56, 0x34, 0x12, 0, 0]);
        let expected =
            [0x80, 0x20, 0x21, 0x00, 0x0C, 0x39, 0x34, 0x05, 0x00, 0x08, 0x00, 0x00, 0x00, 0x40, 0x01, 0x00];
        assert_eq!(sector[446..462], expected);
        assert!(sector[462..510].iter().all(|b| *b == 0));
        assert_eq!(sector[510..], [0x55, 0xAA]);
    }

    #[test]
    fn sectors_beyond_the_reach_of_chs_saturate() {
        assert_eq!(chs(u32::MAX), [0xFE, 0xFF, 0xFF]);
        assert_eq!(chs(1023 * 255 * 63), [0, 0xC1, 0xFF]);
    }
}
