//! Disks with a partition table: GPT (UEFI specification 2.10, section 5.3) or MBR.

use std::io;

use super::bytes::Bytes;
use super::damaged;
use super::field::{le16, le32, le64, part};
use super::found::Found;
use super::{Inside, Part, Reader, Role};

const SECTOR: u64 = 512;
/// Where the boot code of the first sector ends.
const CODE: u64 = 440;
/// The MBR's entries: where they begin, and the length of each.
const ENTRIES: (usize, usize) = (446, 16);
/// The type of the entry that stands for a GPT.
const PROTECTIVE: u8 = 0xEE;
/// Most bytes behind the table that a boot loader has without a partition.
const MAX_GAP: u64 = 16 << 20;
/// Most entries of a GPT, and the largest entry.
const MAX_ENTRIES: u32 = 1024;
const MAX_ENTRY: u32 = 4096;
/// Bytes of a GPT's header.
const HEADER: usize = 92;
/// Types of partitions that have a name of their own here.
const KINDS: [(&str, &str); 4] = [
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system"),
    ("0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux"),
    ("21686148-6449-6e6f-744e-656564454649", "BIOS boot"),
    ("4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "Linux root, x86-64"),
];

/// Reads disks.
#[derive(Debug)]
pub(super) struct Disk;

impl Reader for Disk {
    fn called(&self) -> &'static str {
        "disk"
    }

    fn recognises(&self, bytes: &Bytes) -> io::Result<bool> {
        let start = bytes.start(SECTOR)?;
        Ok(start.ends_with(&[0x55, 0xAA]) && primary(&start).is_ok_and(|entries| !entries.is_empty()))
    }

    fn read(&self, bytes: &Bytes) -> io::Result<Inside> {
        let start = bytes.read(0, SECTOR as usize)?;
        let entries = primary(&start)?;
        let (partitions, table_end) = match entries.iter().any(|entry| entry.kind == PROTECTIVE) {
            true => gpt(bytes)?,
            false => (entries.into_iter().map(Partition::from).collect(), SECTOR),
        };
        let mut inside = Inside { files: boot_code(bytes, &partitions, table_end)?, ..Inside::default() };
        for partition in &partitions {
            let content = bytes.slice(partition.start, partition.len)?;
            inside.parts.push(Part {
                name: format!("partition {}", partition.number),
                bytes: content,
                role: Role::Volume,
                facts: partition.facts(),
            });
        }
        Ok(inside)
    }
}

/// A partition, in bytes.
#[derive(Debug)]
struct Partition {
    /// Its place in the table, from 1 on.
    number: u32,
    start: u64,
    len: u64,
    kind: String,
    id: String,
    name: String,
}

impl Partition {
    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("kind", self.kind.clone()),
            ("start", self.start.to_string()),
            ("size", self.len.to_string()),
        ];
        for (what, text) in [("name", &self.name), ("id", &self.id)] {
            if !text.is_empty() {
                facts.push((what, text.clone()));
            }
        }
        facts
    }
}

/// An entry of an MBR, in sectors.
struct Entry {
    number: u32,
    kind: u8,
    first: u32,
    sectors: u32,
}

impl From<Entry> for Partition {
    fn from(entry: Entry) -> Self {
        Self {
            number: entry.number,
            start: u64::from(entry.first) * SECTOR,
            len: u64::from(entry.sectors) * SECTOR,
            kind: format!("{:02x}", entry.kind),
            id: String::new(),
            name: String::new(),
        }
    }
}

/// The entries of an MBR that are in use.
fn primary(sector: &[u8]) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for number in 1..=4 {
        let at = ENTRIES.0 + (number as usize - 1) * ENTRIES.1;
        let entry = part(sector, at, ENTRIES.1)?;
        if !matches!(entry[0], 0 | 0x80) {
            return Err(damaged("its partition table is none"));
        }
        let (first, sectors) = (le32(entry, 8)?, le32(entry, 12)?);
        if entry[4] != 0 && sectors > 0 {
            entries.push(Entry { number, kind: entry[4], first, sectors });
        }
    }
    Ok(entries)
}

/// The partitions of a GPT, and where its table ends.
fn gpt(bytes: &Bytes) -> io::Result<(Vec<Partition>, u64)> {
    let sum = |bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    };
    let mut header = bytes.read(SECTOR, HEADER)?;
    if !header.starts_with(b"EFI PART") || le32(&header, 12)? as usize != HEADER {
        return Err(damaged("its first sector says that it has a GPT, and it has none"));
    }
    let (own, of_entries) = (le32(&header, 16)?, le32(&header, 88)?);
    header[16..20].fill(0);
    let (count, size) = (le32(&header, 80)?, le32(&header, 84)?);
    if count > MAX_ENTRIES || !(128..=MAX_ENTRY).contains(&size) {
        return Err(damaged("its GPT has more entries, or larger ones, than is usual"));
    }
    let at = le64(&header, 72)?.checked_mul(SECTOR).ok_or_else(|| damaged("its GPT is behind its end"))?;
    let entries = bytes.read(at, (count * size) as usize)?;
    if sum(&header) != own || sum(&entries) != of_entries {
        return Err(damaged("its GPT has another check sum than it says"));
    }
    let mut partitions = Vec::new();
    for (number, entry) in (1..).zip(entries.chunks_exact(size as usize)) {
        if entry[..16] == [0; 16] {
            continue;
        }
        let (first, last) = (le64(entry, 32)?, le64(entry, 40)?);
        let sectors = last.checked_sub(first).and_then(|sectors| sectors.checked_add(1));
        let bytes = |sectors: Option<u64>| sectors.and_then(|sectors| sectors.checked_mul(SECTOR));
        let (Some(start), Some(len)) = (bytes(Some(first)), bytes(sectors)) else {
            return Err(damaged("a partition ends before it begins, or behind the end of any disk"));
        };
        let units = (56..128).step_by(2).map(|at| le16(entry, at)).collect::<io::Result<Vec<u16>>>()?;
        let units = units.split(|unit| *unit == 0).next().unwrap_or_default();
        let kind = guid(part(entry, 0, 16)?);
        partitions.push(Partition {
            number,
            start,
            len,
            kind: KINDS.iter().find(|(id, _)| *id == kind).map_or(kind, |(_, name)| (*name).to_owned()),
            id: guid(part(entry, 16, 16)?),
            name: String::from_utf16_lossy(units),
        });
    }
    Ok((partitions, at + entries.len() as u64))
}

/// As it is written: the first three groups are little-endian.
fn guid(bytes: &[u8]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::new();
    for (at, from) in ORDER.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text += &format!("{:02x}", bytes.get(from).copied().unwrap_or_default());
    }
    text
}

/// What starts a machine without being in a partition: the code of the first sector, and what is between the table and the first
/// partition. Zeros are nothing.
fn boot_code(bytes: &Bytes, partitions: &[Partition], table_end: u64) -> io::Result<Vec<Found>> {
    let first = partitions.iter().map(|partition| partition.start).min().unwrap_or(table_end);
    let gap = first.saturating_sub(table_end).min(MAX_GAP).min(bytes.len().saturating_sub(table_end));
    let mut found = Vec::new();
    for (name, start, len) in [("boot sector", 0, CODE), ("boot loader", table_end, gap)] {
        let code = bytes.slice(start, len)?;
        if !code.is_zeros()? {
            found.push(Found::file(name, code));
        }
    }
    Ok(found)
}
