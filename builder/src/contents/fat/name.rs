//! Names: one of 8 and 3 characters in the entry itself, and a long one in the entries before it.

use std::io;

use crate::contents::damaged;
use crate::contents::field::le16;

/// Characters of a long name in an entry, and where they are in it.
const UNITS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
/// Of an entry's number: the last part of a name, which comes first.
const LAST: u8 = 0x40;
/// Most parts of a name.
const MOST: u8 = 20;
/// Of a short name: its first part, its second one, is written in small letters.
const SMALL: (u8, u8) = (0x08, 0x10);
/// Stands for 0xE5, which would say that the entry is deleted.
const ESCAPED: u8 = 0x05;

/// The long name that is being read.
#[derive(Debug, Default)]
pub(super) struct Names {
    units: Vec<u16>,
    /// The number of the next part, counted down; 0 when all have come.
    next: u8,
    sum: u8,
    is_open: bool,
}

impl Names {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes an entry that has a part of a name.
    pub(super) fn part(&mut self, entry: &[u8]) -> io::Result<()> {
        let (number, sum) = (entry[0] & !LAST, entry[13]);
        if entry[0] & LAST != 0 && (1..=MOST).contains(&number) {
            *self = Self { units: Vec::new(), next: number, sum, is_open: true };
        }
        if !self.is_open || number != self.next || sum != self.sum || number == 0 {
            // The part of a name whose other parts are gone.
            self.forget();
            return Ok(());
        }
        let part = UNITS.iter().map(|at| le16(entry, *at)).collect::<io::Result<Vec<u16>>>()?;
        self.units.splice(0..0, part);
        self.next -= 1;
        Ok(())
    }

    /// The name of an entry: the long one, if all of it came and it is this entry's.
    pub(super) fn of(&mut self, entry: &[u8]) -> io::Result<String> {
        let Self { units, next, sum, is_open } = std::mem::take(self);
        let short = &entry[..11];
        if is_open && next == 0 && sum == checksum(short) {
            let units = units.split(|unit| *unit == 0).next().unwrap_or_default();
            return String::from_utf16(units).map_err(|_| damaged("a long name is no text"));
        }
        let text = |part: &[u8], small: bool| -> String {
            let end = part.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
            let characters = part[..end].iter().map(|byte| char::from(*byte));
            characters.map(|c| if small { c.to_ascii_lowercase() } else { c }).collect()
        };
        let mut short = short.to_vec();
        if short[0] == ESCAPED {
            short[0] = 0xE5;
        }
        let flags = entry[12];
        let (name, extension) =
            (text(&short[..8], flags & SMALL.0 != 0), text(&short[8..], flags & SMALL.1 != 0));
        Ok(if extension.is_empty() { name } else { format!("{name}.{extension}") })
    }
}

/// What a long name's parts say of the short name that they belong to.
fn checksum(short: &[u8]) -> u8 {
    short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}
