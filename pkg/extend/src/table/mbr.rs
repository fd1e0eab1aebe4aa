//! The master boot record: one sector, four entries.

use lk_format::table::{Layout, Write, mbr::chs};

use super::{Plan, TableError, bytes, end, number32, put};

const SECTOR: usize = 512;
const ENTRIES: usize = 446;
const ENTRY: usize = 16;
/// Partition type of a Linux file system.
const LINUX: u8 = 0x83;
/// Partition type of the protective entry of a GPT (UEFI 2.10, 5.2.3).
const PROTECTIVE: u8 = 0xee;

/// Whether the record says that there is a GPT.
///
/// # Errors
/// [`TableError::None`] when it is no record.
pub fn is_protective(first: &[u8]) -> Result<bool, TableError> {
    if bytes(first, 510) != Some([0x55, 0xaa]) {
        return Err(TableError::None);
    }
    Ok(entries(first).any(|(_, entry)| entry.get(4) == Some(&PROTECTIVE)))
}

/// Entries that are used, with their numbers.
fn entries(first: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let entries = first.get(ENTRIES..ENTRIES + 4 * ENTRY).unwrap_or_default().chunks(ENTRY);
    (1..).zip(entries).filter(|(_, entry)| entry.get(4).is_some_and(|kind| *kind != 0))
}

/// See [`super::plan`].
///
/// # Errors
/// [`TableError`] when it is not one Linux partition.
pub fn plan(first: &[u8], layout: &Layout) -> Result<Option<Plan>, TableError> {
    let used: Vec<(u32, &[u8])> = entries(first).collect();
    let &[(number, entry)] = used.as_slice() else { return Err(TableError::NotOne(used.len())) };
    if entry.get(4) != Some(&LINUX) {
        return Err(TableError::NotLinux);
    }
    let (Some(start), Some(length)) = (number32(entry, 8), number32(entry, 12)) else {
        return Err(TableError::None);
    };
    // Some readers wrap around at an end that does not fit in 32 bits.
    let end = u32::try_from(end(layout)).unwrap_or(u32::MAX);
    let wanted = end.saturating_sub(start);
    if start == 0 || wanted <= length {
        return Ok(None);
    }
    let mut sector = first.get(..SECTOR).ok_or(TableError::None)?.to_vec();
    let at = ENTRIES + (number as usize - 1) * ENTRY;
    put(&mut sector, at + 5, &chs(u64::from(end) - 1));
    put(&mut sector, at + 12, &wanted.to_le_bytes());
    let unit = u64::from(layout.sector);
    Ok(Some(Plan {
        number,
        start: u64::from(start) * unit,
        length: u64::from(wanted) * unit,
        writes: vec![Write { offset: 0, bytes: sector }],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::grown;
    use lk_format::table::TableKind;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_boot_code_the_signature_and_the_boot_flag_stay() {
        let mut disk = grown(TableKind::Dos, 512, 16 * MIB, 64 * MIB);
        disk[..4].copy_from_slice(b"boot");
        disk[446] = 0x80;
        let plan = plan(&disk, &Layout::of(64 * MIB, 512).unwrap()).unwrap().unwrap();
        let sector = &plan.writes[0].bytes;
        assert_eq!(sector[..451], disk[..451]);
        assert_eq!(sector[454..458], disk[454..458], "the start");
        assert_eq!(sector[462..], disk[462..512]);
    }

    #[test]
    fn other_partitions_and_other_types_are_left_alone() {
        let layout = Layout::of(64 * MIB, 512).unwrap();
        let disk = grown(TableKind::Dos, 512, 16 * MIB, 64 * MIB);
        let mut two = disk.clone();
        two[466] = 0x83;
        assert_eq!(plan(&two, &layout), Err(TableError::NotOne(2)));
        for kind in [0x05, 0x07, 0x0f, 0x82, 0x8e] {
            let mut other = disk.clone();
            other[450] = kind;
            assert_eq!(plan(&other, &layout), Err(TableError::NotLinux), "{kind:#x}");
        }
        let mut none = disk;
        none[450] = 0;
        assert_eq!(plan(&none, &layout), Err(TableError::NotOne(0)));
    }

    #[test]
    fn a_record_counts_to_two_tib_only() {
        let disk = grown(TableKind::Dos, 512, 16 * MIB, 64 * MIB);
        let plan = plan(&disk, &Layout::of(3 << 40, 512).unwrap()).unwrap().unwrap();
        assert_eq!(plan.start + plan.length, u64::from(u32::MAX) * 512);
    }

    proptest! {
        #[test]
        fn no_record_makes_a_partition_smaller_or_moves_it(mut record in proptest::collection::vec(any::<u8>(), 512)) {
            record[510..].copy_from_slice(&[0x55, 0xaa]);
            if let Ok(Some(plan)) = plan(&record, &Layout::of(64 * MIB, 512).unwrap()) {
                prop_assert!(plan.start + plan.length <= 64 * MIB);
                prop_assert_eq!(plan.writes.len(), 1);
            }
        }
    }
}
