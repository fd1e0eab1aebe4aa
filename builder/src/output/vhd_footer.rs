//! The footer of VHD images. Source: Microsoft's "Virtual Hard Disk Image Format Specification" 1.0 (2006), "Hard Disk
//! Footer Format", "Appendix: CHS Calculation"; all numbers are big-endian.

use super::mbr::SECTOR;
use super::sparse::Fingerprint;
use crate::tree::GENERATED_MTIME;

/// Length of the footer in bytes.
pub(super) const LEN: usize = 512;
/// The largest disk that Hyper-V and QEMU open.
pub(super) const MAX_DISK: u64 = 2040 << 30;
/// Azure takes disks of whole mebibytes only ("Prepare a Windows VHD or VHDX to upload to Azure").
pub(super) const UNIT: u64 = 1 << 20;

const VERSION: u32 = 0x0001_0000;
/// A bit that is always set; nothing else is.
const FEATURES: u32 = 2;
/// Time stamps count from the year 2000.
const YEAR_2000: u64 = 946_684_800;
/// Windows: readers take the size of such an image from the size field. Of makers that they do not know, and of
/// Virtual PC, QEMU takes it from the geometry, which is less.
const CREATOR: &[u8; 4] = b"win ";
/// Windows 10's, as the specification's "Creator Version" wants major and minor.
const CREATOR_VERSION: u32 = 0x000A_0000;
const CREATOR_HOST: &[u8; 4] = b"Wi2k";
const CHECKSUM: usize = 64;

/// How the disk lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Fixed,
    /// In blocks, with a header at this offset.
    Dynamic(u64),
}

/// The footer of a disk of `size` bytes.
pub(super) fn footer(kind: Kind, size: u64, fingerprint: Fingerprint) -> [u8; LEN] {
    let (data_offset, kind) = match kind {
        Kind::Fixed => (u64::MAX, 2_u32),
        Kind::Dynamic(header) => (header, 3),
    };
    let (cylinders, heads, sectors) = geometry(size / SECTOR);
    let mut bytes = Vec::with_capacity(LEN);
    bytes.extend(b"conectix");
    bytes.extend(FEATURES.to_be_bytes());
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(data_offset.to_be_bytes());
    bytes.extend(((GENERATED_MTIME - YEAR_2000) as u32).to_be_bytes());
    bytes.extend(CREATOR);
    bytes.extend(CREATOR_VERSION.to_be_bytes());
    bytes.extend(CREATOR_HOST);
    bytes.extend([size, size].map(u64::to_be_bytes).concat()); // when made, and now
    bytes.extend(cylinders.to_be_bytes());
    bytes.extend([heads, sectors]);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0; 4]); // the checksum, below
    bytes.extend(uuid(fingerprint));
    let mut footer = [0; LEN];
    footer[..bytes.len()].copy_from_slice(&bytes);
    let sum = checksum(&footer);
    footer[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_be_bytes());
    footer
}

/// The ones' complement of the sum of all bytes. The field that will have it must be zero.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>()
}

/// An identity made of the content (RFC 9562, "UUID Version 8").
fn uuid(fingerprint: Fingerprint) -> [u8; 16] {
    let mut uuid: [u8; 16] = fingerprint.finish();
    uuid[6] = uuid[6] & 0x0F | 0x80;
    uuid[8] = uuid[8] & 0x3F | 0x80;
    uuid
}

/// Cylinders, heads, sectors in a track.
fn geometry(sectors: u64) -> (u16, u8, u8) {
    let total = sectors.min(65_535 * 16 * 255) as u32;
    let (track, heads, tracks) = if total >= 65_535 * 16 * 63 {
        (255, 16, total / 255)
    } else {
        let tracks = total / 17;
        let heads = tracks.div_ceil(1024).max(4);
        if heads <= 16 && tracks < heads * 1024 {
            (17, heads, tracks)
        } else if total / 31 < 16 * 1024 {
            (31, 16, total / 31)
        } else {
            (63, 16, total / 63)
        }
    };
    ((tracks / heads) as u16, heads as u8, track)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_geometry_is_that_of_the_specification() {
        for (mebibytes, expected) in [
            (2, (60, 4, 17)),
            (64, (963, 8, 17)),
            (127, (1019, 15, 17)),
            (200, (825, 16, 31)),
            (1 << 10, (2080, 16, 63)),
            (25 << 10, (52_012, 16, 63)),
            (100 << 10, (51_400, 16, 255)),
            (2040 << 10, (65_535, 16, 255)),
        ] {
            assert_eq!(geometry(mebibytes << 11), expected, "{mebibytes} MiB");
        }
    }

    #[test]
    fn every_field_is_in_its_place_and_the_checksum_is_right() {
        let footer = footer(Kind::Fixed, 1 << 30, Fingerprint::of_size(1 << 30));
        assert_eq!(&footer[..16], b"conectix\0\0\0\x02\0\x01\0\0");
        assert_eq!(footer[16..24], [0xFF; 8]);
        assert_eq!(footer[24..28], 545_848_200_u32.to_be_bytes(), "2017-04-18 16:30:00");
        assert_eq!(footer[40..48], (1_u64 << 30).to_be_bytes());
        assert_eq!(footer[48..56], (1_u64 << 30).to_be_bytes());
        assert_eq!(footer[56..60], [0x08, 0x20, 16, 63]);
        assert_eq!(footer[60..64], 2_u32.to_be_bytes());
        assert_eq!(footer[74] >> 4, 8, "the UUID's version");
        let mut without = footer;
        without[64..68].fill(0);
        assert_eq!(footer[64..68], checksum(&without).to_be_bytes());
        assert!(footer[84..].iter().all(|byte| *byte == 0));
    }
}
