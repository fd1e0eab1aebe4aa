//! The master boot record: one sector, four entries.

use super::{Identity, Layout, LayoutError, Write};

/// Partition type of a Linux file system.
const LINUX: u8 = 0x83;
/// Partition type of the protective entry (UEFI 2.10, 5.2.3).
const PROTECTIVE: u8 = 0xee;

/// An MBR with one Linux partition. It is one write of 512 bytes, so it is there or it is not.
pub fn writes(layout: &Layout, identity: &Identity) -> Result<Vec<Write>, LayoutError> {
    let too_large = |_| LayoutError::TooLargeForDos(layout.sectors * u64::from(layout.sector));
    // The end must fit as well, or some readers wrap around.
    let end = u32::try_from(layout.start + layout.length).map_err(too_large)?;
    let start = u32::try_from(layout.start).map_err(too_large)?;
    let mut sector = record(LINUX, chs(layout.start), chs(u64::from(end) - 1), start, end - start);
    sector[440..444].copy_from_slice(&identity.disk[..4]);
    Ok(vec![Write { offset: 0, bytes: sector }])
}

/// The MBR of a GPT disk: one entry that covers it, so that programs which know no GPT find no free space.
pub fn protective(layout: &Layout) -> Vec<u8> {
    let length = u32::try_from(layout.sectors - 1).unwrap_or(u32::MAX);
    record(PROTECTIVE, [0x00, 0x02, 0x00], [0xff, 0xff, 0xff], 1, length)
}

fn record(kind: u8, first: [u8; 3], last: [u8; 3], start: u32, length: u32) -> Vec<u8> {
    let mut sector = vec![0; 512];
    let entry = &mut sector[446..462];
    entry[1..4].copy_from_slice(&first);
    entry[4] = kind;
    entry[5..8].copy_from_slice(&last);
    entry[8..12].copy_from_slice(&start.to_le_bytes());
    entry[12..16].copy_from_slice(&length.to_le_bytes());
    sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// The address as cylinder, head, sector of a drive with 255 heads and 63 sectors, or the largest there is.
pub fn chs(lba: u64) -> [u8; 3] {
    const HEADS: u64 = 255;
    const SECTORS: u64 = 63;
    let cylinder = lba / (HEADS * SECTORS);
    if cylinder > 1023 {
        return [0xfe, 0xff, 0xff];
    }
    let head = lba / SECTORS % HEADS;
    let sector = lba % SECTORS + 1;
    [head as u8, sector as u8 | ((cylinder >> 2) as u8 & 0xc0), cylinder as u8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use lk_command::size::MIB;

    #[test]
    fn the_record_is_byte_for_byte_what_is_specified() {
        let layout = Layout::of(64 * MIB, 512).unwrap();
        let writes = writes(&layout, &Identity { disk: [0xdd; 16], partition: [0; 16] }).unwrap();
        assert_eq!(writes.len(), 1);
        assert_eq!((writes[0].offset, writes[0].bytes.len()), (0, 512));
        let sector = &writes[0].bytes;
        assert!(sector[..440].iter().all(|b| *b == 0), "there is no boot code");
        assert_eq!(sector[440..446], [0xdd, 0xdd, 0xdd, 0xdd, 0, 0]);
        // LBA 2048 is 0/32/33; 62 MiB are 126976 sectors; the last is LBA 129023 = 8/8/0.
        assert_eq!(sector[446..462], [0, 32, 33, 0, 0x83, 7, 63, 8, 0, 8, 0, 0, 0, 0xf0, 1, 0]);
        assert!(sector[462..510].iter().all(|b| *b == 0), "the other entries are empty");
        assert_eq!(sector[510..], [0x55, 0xaa]);
    }

    #[test]
    fn addresses_beyond_cylinder_1023_are_the_largest_there_is() {
        for (lba, expected) in [
            (0, [0, 1, 0]),
            (62, [0, 63, 0]),
            (63, [1, 1, 0]),
            (2048, [32, 33, 0]),
            (1 << 40, [0xfe, 0xff, 0xff]),
        ] {
            assert_eq!(chs(lba), expected, "{lba}");
        }
        assert_eq!(chs(1023 * 255 * 63), [0, 1 | 0xc0, 0xff]);
    }
}
