//! The records of one directory (ECMA-119, section 9.1).

use super::SECTOR;
use super::field::{both, both16, short_time};
use super::rock_ridge::Continuation;

/// Bytes of a record without identifier and system use.
const FIXED: usize = 33;
/// The longest record; a length is even and one byte.
const LONGEST: usize = 254;
/// Most bytes of one extent: the largest number of whole sectors of which the length has 32 bits.
pub(super) const LARGEST_EXTENT: u64 = (1 << 32) - SECTOR;

const DIRECTORY: u8 = 2;
const NOT_THE_LAST: u8 = 0x80;

/// A stretch of sectors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: u32,
    /// In bytes.
    pub(super) len: u32,
}

/// One name in a directory.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) identifier: &'a [u8],
    pub(super) first: u32,
    /// In bytes.
    pub(super) len: u64,
    pub(super) is_directory: bool,
    /// Seconds since 1970.
    pub(super) mtime: u64,
    /// Rock Ridge's.
    pub(super) entries: Vec<Vec<u8>>,
}

/// The directory's content, whole sectors, without its continuation areas.
pub(super) fn encode(records: &[Record<'_>], areas: &mut Continuation) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        let extents = extents(record.first, record.len);
        let last = extents.len() - 1;
        // With the byte that makes what is before the entries an even number.
        let room = LONGEST - FIXED - (record.identifier.len() | 1);
        // Each record of a file in several extents has all entries: Linux reads some of them from the first one, some from the last.
        let system_use = areas.pack(&record.entries, room);
        for (at, extent) in extents.into_iter().enumerate() {
            let flags = u8::from(record.is_directory) * DIRECTORY + u8::from(at < last) * NOT_THE_LAST;
            let one = fixed(record.identifier, extent, flags, record.mtime, &system_use);
            // No record crosses the end of a sector.
            if bytes.len() % SECTOR as usize + one.len() > SECTOR as usize {
                pad(&mut bytes);
            }
            bytes.extend(one);
        }
    }
    pad(&mut bytes);
    bytes
}

/// One record.
pub(super) fn fixed(identifier: &[u8], extent: Extent, flags: u8, mtime: u64, system_use: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0];
    record.extend(both(extent.first));
    record.extend(both(extent.len));
    record.extend(short_time(mtime));
    record.extend([flags, 0, 0]); // not interleaved
    record.extend(both16(1)); // volume
    record.push(identifier.len() as u8);
    record.extend(identifier);
    if identifier.len().is_multiple_of(2) {
        record.push(0);
    }
    record.extend(system_use);
    record.resize(record.len().next_multiple_of(2), 0);
    record[0] = record.len() as u8;
    record
}

/// The record of the root directory in the volume descriptor.
pub(super) fn root(extent: Extent, mtime: u64) -> Vec<u8> {
    fixed(b"\0", extent, DIRECTORY, mtime, &[])
}

/// The parts of a file of which each has a length of 32 bits; one that is empty, for an empty file.
fn extents(first: u32, len: u64) -> Vec<Extent> {
    let count = len.div_ceil(LARGEST_EXTENT).max(1);
    let part = |number: u64| Extent {
        first: first + (number * (LARGEST_EXTENT / SECTOR)) as u32,
        len: (len - number * LARGEST_EXTENT).min(LARGEST_EXTENT) as u32,
    };
    (0..count).map(part).collect()
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_in_extents_of_whole_sectors() {
        let of = |len| extents(100, len).iter().map(|extent| (extent.first, extent.len)).collect::<Vec<_>>();
        let most = LARGEST_EXTENT as u32;
        assert_eq!(of(0), [(100, 0)]);
        assert_eq!(of(LARGEST_EXTENT), [(100, most)]);
        assert_eq!(of(LARGEST_EXTENT + 1), [(100, most), (100 + 2_097_151, 1)]);
        assert_eq!(of(2 * LARGEST_EXTENT + 7)[2], (100 + 2 * 2_097_151, 7));
    }

    #[test]
    fn no_record_crosses_the_end_of_a_sector() {
        let records: Vec<Record<'_>> = (0..50)
            .map(|_| Record {
                identifier: b"ABCDE.;1",
                first: 1,
                len: 5 << 30,
                is_directory: false,
                mtime: 0,
                entries: vec![vec![1; 60]],
            })
            .collect();
        let bytes = encode(&records, &mut Continuation::default());
        let mut found = 0;
        for sector in bytes.chunks(SECTOR as usize) {
            let mut rest = sector;
            while rest.first().is_some_and(|len| *len > 0) {
                found += 1;
                rest = &rest[usize::from(rest[0])..];
            }
            assert!(rest.iter().all(|byte| *byte == 0));
        }
        assert_eq!(found, 100, "two records a file");
    }
}
