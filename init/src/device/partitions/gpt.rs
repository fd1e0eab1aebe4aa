//! The GUID partition table: the first copy, or the second where the first is damaged.

use super::crc32::crc32;
use crate::device::identify::{Read, le32, le64, uuid_text};

/// Bytes of the header that are defined.
const HEADER: usize = 92;
/// Most bytes of a header that are read: a sector has no more.
const LARGEST_HEADER: usize = 4096;
/// Most bytes of entries that are read; a table has 16 KiB.
const ENTRIES: usize = 512 * 1024;
/// Where the name is in an entry, and how many bytes it has.
const NAME: std::ops::Range<usize> = 56..128;

/// One partition that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1, as the kernel counts.
    pub number: u32,
    /// Its own GUID.
    pub uuid: String,
    /// Its name.
    pub label: Option<String>,
}

/// The partitions of a disk with `sectors` logical sectors of `sector` bytes.
pub fn entries(sector: u64, sectors: u64, read: &mut Read<'_>) -> Option<Vec<Entry>> {
    copy(1, sector, read).or_else(|| copy(sectors.checked_sub(1)?, sector, read))
}

fn copy(at: u64, sector: u64, read: &mut Read<'_>) -> Option<Vec<Entry>> {
    let mut header = read(at.checked_mul(sector)?, usize::try_from(sector).ok()?.min(LARGEST_HEADER));
    let length = usize::try_from(le32(&header, 12)?).ok()?;
    if !header.starts_with(b"EFI PART") || length < HEADER || le64(&header, 24)? != at {
        return None;
    }
    let sum = le32(&header, 16)?;
    header.get_mut(16..20)?.fill(0);
    if crc32(header.get(..length)?) != sum {
        return None;
    }
    let (first, count, size, sum) =
        (le64(&header, 72)?, le32(&header, 80)?, le32(&header, 84)?, le32(&header, 88)?);
    let (count, size) = (usize::try_from(count).ok()?, usize::try_from(size).ok()?);
    let length = count.checked_mul(size).filter(|length| *length <= ENTRIES)?;
    if size < 128 || size % 8 != 0 {
        return None;
    }
    let array = read(first.checked_mul(sector)?, length);
    if array.len() != length || crc32(&array) != sum {
        return None;
    }
    let entries = (1..).zip(array.chunks_exact(size));
    Some(entries.filter_map(|(number, bytes)| entry(number, bytes)).collect())
}

/// One entry; `None` when it is not in use.
fn entry(number: u32, bytes: &[u8]) -> Option<Entry> {
    let guid = |at: usize| bytes.get(at..)?.first_chunk::<16>().copied();
    (guid(0)? != [0; 16]).then_some(())?;
    let units = bytes.get(NAME)?.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    let units = units.take_while(|unit| *unit != 0);
    let label: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    let label = Some(label).filter(|label| !label.is_empty());
    Some(Entry { number, uuid: guid_text(guid(16)?), label })
}

/// A GUID in text: its first three parts are little-endian.
fn guid_text(raw: [u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = raw;
    let [i, j, k, l, m, n, o, p] = rest;
    uuid_text(&[d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
}
