//! The GUID partition table (UEFI 2.10, 5.3).

use super::crc32::crc32;
use super::{EDGE, Identity, Layout, Write, mbr};

/// The type "Linux filesystem", `0FC63DAF-8483-4772-8E79-3D69D8477DE4`, as stored.
const LINUX: [u8; 16] =
    [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];
/// The partition's name in the table.
const NAME: &str = "data";

const ENTRIES: usize = 128;
const ENTRY: usize = 128;
const ARRAY: usize = ENTRIES * ENTRY;
const HEADER: usize = 92;
/// Where a header keeps the disk's GUID, and an entry the partition's.
const DISK_GUID: usize = 56;
const PARTITION_GUID: usize = 16;

/// The table's writes: the copy at the end first, the protective MBR, which makes it all valid, last.
pub fn writes(layout: &Layout, identity: &Identity) -> Vec<Write> {
    let unit = u64::from(layout.sector);
    let last = layout.sectors - 1;
    let copy = last - array_sectors(layout);
    let array = array(layout, identity);
    let at = |sector: u64, bytes: Vec<u8>| Write { offset: sector * unit, bytes };
    vec![
        at(copy, array.clone()),
        at(last, header(layout, identity, &array, Place { own: last, other: 1, array: copy })),
        at(2, array.clone()),
        at(1, header(layout, identity, &array, Place { own: 1, other: last, array: 2 })),
        at(0, mbr::protective(layout)),
    ]
}

/// See [`super::is_unfinished`].
pub fn is_unfinished(first: &[u8], last: &[u8], layout: &Layout) -> bool {
    let unit = layout.sector as usize;
    let edge = EDGE as usize;
    if first.len() != edge || last.len() != edge || !is_zero(&first[..unit]) {
        return false;
    }
    let copy_header = edge - unit;
    let copy_array = copy_header - array_sectors(layout) as usize * unit;
    // Which table it would be is read off what is there; it must then be that table and nothing else.
    let guid = |bytes: &[u8], at: usize| -> [u8; 16] { std::array::from_fn(|i| bytes[at + i]) };
    let seen = |candidates: [[u8; 16]; 2]| candidates.into_iter().find(|g| !is_zero(g)).unwrap_or_default();
    let identity = Identity {
        disk: seen([guid(last, copy_header + DISK_GUID), guid(first, unit + DISK_GUID)]),
        partition: seen([guid(last, copy_array + PARTITION_GUID), guid(first, 2 * unit + PARTITION_GUID)]),
    };
    if is_zero(&identity.partition) {
        return false;
    }
    let (mut whole_first, mut whole_last) = (vec![0; edge], vec![0; edge]);
    let start_of_last = layout.sectors * u64::from(layout.sector) - EDGE;
    for write in writes(layout, &identity) {
        let (window, at) = match write.offset.checked_sub(start_of_last) {
            Some(at) => (&mut whole_last, at as usize),
            None => (&mut whole_first, write.offset as usize),
        };
        window[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
    }
    let agrees = |there: &[u8], whole: &[u8]| {
        there.chunks(unit).zip(whole.chunks(unit)).all(|(there, whole)| is_zero(there) || there == whole)
    };
    agrees(first, &whole_first) && agrees(last, &whole_last)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0)
}

fn array_sectors(layout: &Layout) -> u64 {
    (ARRAY as u64).div_ceil(u64::from(layout.sector))
}

fn array(layout: &Layout, identity: &Identity) -> Vec<u8> {
    let mut array = vec![0; ARRAY];
    array[..16].copy_from_slice(&LINUX);
    array[PARTITION_GUID..32].copy_from_slice(&identity.partition);
    array[32..40].copy_from_slice(&layout.start.to_le_bytes());
    array[40..48].copy_from_slice(&(layout.start + layout.length - 1).to_le_bytes());
    for (unit, place) in NAME.encode_utf16().zip(array[56..ENTRY].chunks_mut(2)) {
        place.copy_from_slice(&unit.to_le_bytes());
    }
    array
}

/// The sectors that a header speaks of.
struct Place {
    own: u64,
    other: u64,
    array: u64,
}

fn header(layout: &Layout, identity: &Identity, array: &[u8], place: Place) -> Vec<u8> {
    let mut sector = vec![0; layout.sector as usize];
    let usable = (2 + array_sectors(layout), layout.sectors - 2 - array_sectors(layout));
    let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"EFI PART");
    put(8, &0x0001_0000u32.to_le_bytes());
    put(12, &(HEADER as u32).to_le_bytes());
    put(24, &place.own.to_le_bytes());
    put(32, &place.other.to_le_bytes());
    put(40, &usable.0.to_le_bytes());
    put(48, &usable.1.to_le_bytes());
    put(DISK_GUID, &identity.disk);
    put(72, &place.array.to_le_bytes());
    put(80, &(ENTRIES as u32).to_le_bytes());
    put(84, &(ENTRY as u32).to_le_bytes());
    put(88, &crc32(array).to_le_bytes());
    // The header's own sum is taken with its field zero, as it still is.
    let sum = crc32(&sector[..HEADER]);
    sector[16..20].copy_from_slice(&sum.to_le_bytes());
    sector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::edges;
    use lk_command::size::MIB;
    use proptest::prelude::*;

    fn identity() -> Identity {
        Identity::from_random(std::array::from_fn(|i| i as u8 * 7 + 3))
    }

    #[test]
    fn a_power_cut_between_any_two_sectors_leaves_a_disk_that_is_recognised() {
        for (size, sector) in [(64 * MIB, 512), (64 * MIB + 512, 512), (64 * MIB, 4096)] {
            let layout = Layout::of(size, sector).unwrap();
            let all = writes(&layout, &identity());
            for done in 0..all.len() {
                // Of the write that is under way, any number of sectors is there.
                let current = &all[done];
                for part in (0..=current.bytes.len()).step_by(sector as usize) {
                    let mut there = all[..done].to_vec();
                    there.push(Write { offset: current.offset, bytes: current.bytes[..part].to_vec() });
                    let (first, last) = edges(&layout, &there);
                    let blank = is_zero(&first) && is_zero(&last);
                    let finished = done == all.len() - 1 && part > 0;
                    assert_eq!(
                        is_unfinished(&first, &last, &layout),
                        !blank && !finished,
                        "write {done}, {part} bytes"
                    );
                }
            }
        }
    }

    #[test]
    fn a_table_that_differs_in_one_byte_is_somebody_elses() {
        let layout = Layout::of(64 * MIB, 512).unwrap();
        let all = writes(&layout, &identity());
        let (first, last) = edges(&layout, &all[..4]);
        assert!(is_unfinished(&first, &last, &layout));
        for (edge, at) in [
            (0, 0),
            (0, 510),
            (0, 512),
            (0, 600),
            (0, 1024),
            (0, 1024 + 40),
            (0, 40_000),
            (1, 0),
            (1, EDGE as usize - 512 + 24),
        ] {
            let mut changed = [first.clone(), last.clone()];
            changed[edge][at] ^= 1;
            assert!(!is_unfinished(&changed[0], &changed[1], &layout), "edge {edge}, byte {at}");
        }
        // The same table on a disk that is larger is not one that was being made for it.
        assert!(!is_unfinished(&first, &last, &Layout::of(65 * MIB, 512).unwrap()));
    }

    proptest! {
        #[test]
        fn bytes_that_are_not_ours_are_never_taken_for_ours(
            at in 0usize..2 * EDGE as usize,
            bytes in proptest::collection::vec(1u8.., 1..64),
        ) {
            let layout = Layout::of(64 * MIB, 512).unwrap();
            let mut both = vec![0u8; 2 * EDGE as usize];
            for (place, byte) in both[at..].iter_mut().zip(&bytes) {
                *place = *byte;
            }
            let (first, last) = both.split_at(EDGE as usize);
            prop_assert!(!is_unfinished(first, last, &layout));
        }
    }
}
