//! Extended attributes: sets of names and values, and a table of sets that inodes name.

use std::collections::BTreeMap;
use std::io;

use super::table::{Place, Tables};
use crate::contents::damaged;
use crate::contents::field::{le16, le32, le64, part};

/// The beginnings of names, by number.
const KINDS: [&str; 3] = ["user.", "trusted.", "security."];
/// In a kind: the value is elsewhere, and its place is here.
const ELSEWHERE: u16 = 0x0100;
/// Largest value that Linux allows, in bytes (`XATTR_SIZE_MAX`).
const MAX_VALUE: u32 = 64 << 10;
/// Most attributes of one inode, and bytes of one entry of the table.
const MAX_COUNT: u32 = 4096;
const ENTRY: usize = 16;

/// The table of sets.
#[derive(Debug)]
pub(super) struct Sets {
    pairs: u64,
    entries: Vec<u8>,
}

impl Sets {
    /// Reads the table whose list of blocks is at a byte of the image.
    pub(super) fn read(tables: &Tables, at: u64) -> io::Result<Option<Self>> {
        let header = tables.bytes.read(at, 16)?;
        let count = le32(&header, 8)?;
        let list = at.checked_add(16).ok_or_else(|| damaged("it names bytes behind its end"))?;
        let entries = tables.lookup(list, u64::from(count) * ENTRY as u64)?;
        Ok((count > 0).then_some(Self { pairs: le64(&header, 0)?, entries }))
    }

    /// The set with this number.
    pub(super) fn get(&self, tables: &Tables, number: u32) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let entry = part(&self.entries, (number as usize).saturating_mul(ENTRY), ENTRY)
            .map_err(|_| damaged("an entry has attributes that there are not"))?;
        let count = le32(entry, 8)?;
        if count > MAX_COUNT {
            return Err(damaged("an entry has more attributes than any real one"));
        }
        let mut stream = tables.stream(self.pairs, Place::of(le64(entry, 0)?));
        let mut set = BTreeMap::new();
        for _ in 0..count {
            let header = stream.read(4)?;
            let kind = le16(&header, 0)?;
            let prefix = KINDS.get(usize::from(kind & 0xFF));
            let prefix = prefix.ok_or_else(|| damaged("an attribute is of no kind that there is"))?;
            let name = stream.read(le16(&header, 2)?.into())?;
            let len = le32(&stream.read(4)?, 0)?;
            let value = match kind & ELSEWHERE {
                0 => stream.read(checked(len)?)?,
                _ => {
                    let place = Place::of(le64(&stream.read(checked(len)?)?, 0)?);
                    let mut stream = tables.stream(self.pairs, place);
                    let len = le32(&stream.read(4)?, 0)?;
                    stream.read(checked(len)?)?
                }
            };
            set.insert([prefix.as_bytes(), &name].concat(), value);
        }
        Ok(set)
    }
}

fn checked(len: u32) -> io::Result<usize> {
    match len <= MAX_VALUE {
        true => Ok(len as usize),
        false => Err(damaged("an attribute is larger than Linux allows")),
    }
}
