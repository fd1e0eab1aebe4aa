//! The GUID partition table (UEFI 2.10, 5.3).
//!
//! The kernel believes the copy at the end of a disk only when the header at its beginning is valid, so that one must be so all the
//! time. The entries take several sectors, and the sum over them is in the header: they cannot be changed where they are.
//!
//! | step | the header at the beginning points to |
//! | --- | --- |
//! | 1. the copy is written to the disk's new end | the old entries |
//! | 2. the new entries are written behind the old ones, where nothing is | the old entries |
//! | 3. the header is written, one sector | the new entries, behind the old ones |
//! | 4. the new entries are written where the old ones are | the new entries, behind the old ones |
//! | 5. the header is written, one sector | the new entries, in their place |
//! | 6. the protective MBR gets its size; what is left of 2 and of the old copy is zeroed | the new entries, in their place |

use lk_format::table::crc32::crc32;
use lk_format::table::{Layout, Write, mbr};

use super::{Plan, TableError, bytes, end, number32, number64, put};

/// The type "Linux filesystem", `0FC63DAF-8483-4772-8E79-3D69D8477DE4`, as stored.
const LINUX: [u8; 16] =
    [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];
/// Most bytes of the entries: four times as many as any program makes.
const LARGEST: usize = 65_536;
const HEADER: usize = 92;

/// A valid table.
struct Table<'t> {
    header: &'t [u8],
    entries: &'t [u8],
    entry_size: usize,
    /// Where the entries are, in sectors.
    at: u64,
    /// Where the copy is, in sectors.
    copy: u64,
}

/// See [`super::plan`].
///
/// # Errors
/// [`TableError`] when it is not one Linux partition, or not a sound table.
pub fn plan(first: &[u8], layout: &Layout) -> Result<Option<Plan>, TableError> {
    let table = read(first, layout)?;
    let used: Vec<(u32, &[u8])> = (1..)
        .zip(table.entries.chunks(table.entry_size))
        .filter(|(_, entry)| entry.iter().take(16).any(|b| *b != 0))
        .collect();
    let &[(number, entry)] = used.as_slice() else { return Err(TableError::NotOne(used.len())) };
    if bytes(entry, 0) != Some(LINUX) {
        return Err(TableError::NotLinux);
    }
    let (Some(start), Some(last)) = (number64(entry, 32), number64(entry, 40)) else {
        return Err(TableError::Damaged("an entry is too short"));
    };
    let sectors = (table.entries.len() as u64).div_ceil(u64::from(layout.sector));
    let place = Place::of(layout, sectors);
    let wanted = end(layout).max(last.saturating_add(1));
    let in_place = table.at == place.entries && table.copy == place.last;
    if last.saturating_add(1) == wanted && in_place {
        return Ok(None);
    }
    if start > last || wanted > place.copy {
        return Err(TableError::Damaged("the partition lies beyond what it may use"));
    }
    let mut entries = table.entries.to_vec();
    put(&mut entries, (number as usize - 1) * table.entry_size + 40, &(wanted - 1).to_le_bytes());
    let writes = writes(first, layout, &table, &entries, (start, last))?;
    let unit = u64::from(layout.sector);
    Ok(Some(Plan { number, start: start * unit, length: (wanted - start) * unit, writes }))
}

fn read<'t>(first: &'t [u8], layout: &Layout) -> Result<Table<'t>, TableError> {
    let unit = layout.sector as usize;
    let damaged = |what| TableError::Damaged(what);
    let header = first.get(unit..2 * unit).ok_or(damaged("it is cut off"))?;
    if !header.starts_with(b"EFI PART") || number32(header, 8) != Some(0x0001_0000) {
        return Err(damaged("it has no header of version 1.0"));
    }
    if number32(header, 12) != Some(HEADER as u32) || number64(header, 24) != Some(1) {
        return Err(damaged("its header is of another size or place"));
    }
    let mut summed = header.get(..HEADER).unwrap_or_default().to_vec();
    put(&mut summed, 16, &[0; 4]);
    if number32(header, 16) != Some(crc32(&summed)) {
        return Err(damaged("the sum of its header is wrong"));
    }
    let (Some(count), Some(entry_size)) = (number32(header, 80), number32(header, 84)) else {
        return Err(damaged("its header is cut off"));
    };
    let (count, entry_size) = (count as usize, entry_size as usize);
    let length = count.checked_mul(entry_size).filter(|length| (1..=LARGEST).contains(length));
    let length = length.ok_or(damaged("it has too many entries, or none"))?;
    if entry_size < 128 || entry_size % 128 != 0 {
        return Err(damaged("its entries have an odd size"));
    }
    let (Some(at), Some(copy)) = (number64(header, 72), number64(header, 32)) else {
        return Err(damaged("its header is cut off"));
    };
    let begin = usize::try_from(at)
        .ok()
        .and_then(|at| at.checked_mul(unit))
        .ok_or(damaged("its entries are far off"))?;
    let entries = begin.checked_add(length).and_then(|end| first.get(begin..end));
    let entries = entries.ok_or(damaged("its entries are far off"))?;
    if at < 2 || number32(header, 88) != Some(crc32(entries)) {
        return Err(damaged("the sum of its entries is wrong"));
    }
    Ok(Table { header, entries, entry_size, at, copy })
}

/// Where the parts of a table are, in sectors.
struct Place {
    /// The entries.
    entries: u64,
    /// The entries, while those in their place are written.
    spare: u64,
    /// The entries of the copy.
    copy: u64,
    /// The header of the copy.
    last: u64,
}

impl Place {
    fn of(layout: &Layout, entries: u64) -> Self {
        let last = layout.sectors.saturating_sub(1);
        Self { entries: 2, spare: 2 + entries, copy: last.saturating_sub(entries), last }
    }
}

fn writes(
    first: &[u8],
    layout: &Layout,
    table: &Table<'_>,
    entries: &[u8],
    (start, last): (u64, u64),
) -> Result<Vec<Write>, TableError> {
    let unit = u64::from(layout.sector);
    let sectors = (entries.len() as u64).div_ceil(unit);
    let place = Place::of(layout, sectors);
    if place.spare + sectors > start {
        return Err(TableError::NoRoom("the partition begins too soon"));
    }
    if ![place.entries, place.spare].contains(&table.at) {
        return Err(TableError::NoRoom("the entries are not at its beginning"));
    }
    let zeros = vec![0; (sectors * unit) as usize];
    let spare = (place.spare * unit) as usize;
    // What was left when an earlier run was cut off is the only thing that may be there.
    let there = first.get(spare..spare + zeros.len()).unwrap_or_default();
    let ours = |piece: &[u8]| piece.iter().all(|b| *b == 0) || similar(piece, entries, table.entries);
    if !there.chunks(layout.sector as usize).all(ours) && table.at != place.spare {
        return Err(TableError::NoRoom("there is something"));
    }
    let header = |own, other, at| header(layout, table.header, entries, (own, other, at, place.copy - 1));
    let at = |sector: u64, bytes: Vec<u8>| Write { offset: sector * unit, bytes };
    let mut writes =
        vec![at(place.copy, entries.to_vec()), at(place.last, header(place.last, 1, place.copy))];
    // After the third step a run was cut off; the header points away from where the entries belong.
    if table.at != place.spare {
        writes.push(at(place.spare, entries.to_vec()));
        writes.push(at(1, header(1, place.last, place.spare)));
    }
    writes.push(at(place.entries, entries.to_vec()));
    writes.push(at(1, header(1, place.last, place.entries)));
    writes.push(at(0, protective(first, layout)));
    writes.push(at(place.spare, zeros.clone()));
    // The copy at the old end, behind what the partition was: programs that look for one would find it.
    if table.copy < place.copy && table.copy.saturating_sub(sectors) > last {
        writes.push(at(table.copy - sectors, vec![0; zeros.len() + unit as usize]));
    }
    Ok(writes)
}

/// Whether a sector is one of the entries, old or new.
fn similar(piece: &[u8], new: &[u8], old: &[u8]) -> bool {
    [new, old].iter().any(|entries| entries.chunks(piece.len()).any(|sector| sector == piece))
}

/// The header with other places: its own, that of the other header, that of the entries, the last sector for partitions.
fn header(
    layout: &Layout,
    old: &[u8],
    entries: &[u8],
    (own, other, at, usable): (u64, u64, u64, u64),
) -> Vec<u8> {
    let mut header = old.get(..HEADER).unwrap_or_default().to_vec();
    for (place, number) in [(24, own), (32, other), (48, usable), (72, at)] {
        put(&mut header, place, &number.to_le_bytes());
    }
    put(&mut header, 88, &crc32(entries).to_le_bytes());
    put(&mut header, 16, &[0; 4]);
    let sum = crc32(&header);
    put(&mut header, 16, &sum.to_le_bytes());
    header.resize(layout.sector as usize, 0);
    header
}

/// The protective MBR for the new size; boot code stays.
fn protective(first: &[u8], layout: &Layout) -> Vec<u8> {
    let mut sector = first.get(..512).unwrap_or_default().to_vec();
    let fresh = mbr::protective(layout);
    put(&mut sector, 446, fresh.get(446..).unwrap_or_default());
    sector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::grown;
    use lk_format::table::{EDGE, TableKind};
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn disk() -> (Vec<u8>, Layout) {
        let disk = grown(TableKind::Gpt, 512, 16 * MIB, 64 * MIB);
        (disk[..EDGE as usize].to_vec(), Layout::of(64 * MIB, 512).unwrap())
    }

    #[test]
    fn only_the_header_sector_switches_from_one_table_to_the_other() {
        let (first, layout) = disk();
        let plan = plan(&first, &layout).unwrap().unwrap();
        let headers: Vec<usize> =
            plan.writes.iter().enumerate().filter(|(_, w)| w.offset == 512).map(|(i, _)| i).collect();
        assert_eq!(headers, [3, 5]);
        assert!(headers.iter().all(|i| plan.writes[*i].bytes.len() == 512), "one sector each");
        let spare = 34 * 512;
        assert_eq!(plan.writes[2].offset, spare, "behind the old entries");
        assert_eq!(plan.writes[4].offset, 1024);
    }

    #[test]
    fn what_is_damaged_or_in_the_way_is_left_alone() {
        let (first, layout) = disk();
        for (at, error) in [
            (512, TableError::Damaged("it has no header of version 1.0")),
            (512 + 40, TableError::Damaged("the sum of its header is wrong")),
            (1024 + 300, TableError::Damaged("the sum of its entries is wrong")),
            (34 * 512, TableError::NoRoom("there is something")),
        ] {
            let mut changed = first.clone();
            changed[at] ^= 1;
            assert_eq!(plan(&changed, &layout), Err(error), "{at}");
        }
    }

    /// The table with its first entry changed, and sums that are right.
    fn with_entry(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let (mut first, layout) = disk();
        change(&mut first[1024..1024 + 256]);
        let entries = first[1024..1024 + 128 * 128].to_vec();
        let sector = header(&layout, &first[512..1024], &entries, (1, 32_767, 2, 32_734));
        first[512..1024].copy_from_slice(&sector);
        first
    }

    #[test]
    fn two_partitions_another_type_and_one_that_begins_too_soon_are_left_alone() {
        let layout = Layout::of(64 * MIB, 512).unwrap();
        assert_eq!(plan(&with_entry(|e| e[128] = 1), &layout), Err(TableError::NotOne(2)));
        assert_eq!(plan(&with_entry(|e| e[0] ^= 1), &layout), Err(TableError::NotLinux));
        assert_eq!(
            plan(&with_entry(|e| e[32..40].copy_from_slice(&40u64.to_le_bytes())), &layout),
            Err(TableError::NoRoom("the partition begins too soon"))
        );
        let backwards = plan(&with_entry(|e| e[32..40].copy_from_slice(&u64::MAX.to_le_bytes())), &layout);
        assert!(matches!(backwards, Err(TableError::Damaged(_))), "{backwards:?}");
    }

    proptest! {
        // Each of them sums up all entries several times.
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_table_makes_a_write_beyond_the_disk(at in 512usize..1024, byte: u8, entry in proptest::collection::vec(any::<u8>(), 16)) {
            let mut first = with_entry(|e| e[32..48].copy_from_slice(&entry));
            let layout = Layout::of(64 * MIB, 512).unwrap();
            first[at] = byte;
            if let Ok(Some(plan)) = plan(&first, &layout) {
                for write in &plan.writes {
                    prop_assert!(write.offset + write.bytes.len() as u64 <= 64 * MIB);
                }
                prop_assert!(plan.start + plan.length <= 64 * MIB);
            }
        }
    }
}
