//! Directory entries with their short and long names.

use super::geometry::Start;
use crate::volume::field::{u8_at, u16_at, u32_at};

/// In bytes.
const ENTRY: usize = 32;
const ATTRIBUTE_LABEL: u8 = 0x08;
const ATTRIBUTE_DIRECTORY: u8 = 0x10;
const ATTRIBUTE_LONG: u8 = 0x0f;
const DELETED: u8 = 0xe5;
/// Stands for a first character of 0xe5.
const ESCAPED_E5: u8 = 0x05;
/// Windows NT's: the name, the extension are in lower case.
const LOWER_NAME: u8 = 0x08;
const LOWER_EXTENSION: u8 = 0x10;
/// Set in the first long entry on the disk, which holds the end of the name.
const LAST_PIECE: u8 = 0x40;
/// A name of 255 characters.
const MAX_PIECES: u8 = 20;
/// Where a long entry keeps its 13 characters.
const PIECES: [std::ops::Range<usize>; 3] = [1..11, 14..26, 28..32];

/// A file or directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) directory: bool,
    pub(super) start: Start,
    /// In bytes; 0 for directories.
    pub(super) size: u32,
}

/// The volume label in the root directory.
pub(super) fn label(root: &[u8]) -> Option<String> {
    let entry = entries(root).find(|entry| {
        let attributes = u8_at(entry, 11).unwrap_or_default();
        attributes & ATTRIBUTE_LABEL != 0 && attributes & ATTRIBUTE_LONG != ATTRIBUTE_LONG
    })?;
    entry.get(..11).map(label_text)
}

/// A label of eleven bytes, without the blanks at its end; the words that stand for none are none.
pub(super) fn label_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.trim_end_matches([' ', '\0']) {
        "NO NAME" => String::new(),
        label => label.to_owned(),
    }
}

/// The entry of that name, long or short, in any case.
pub(super) fn find(directory: &[u8], name: &str) -> Option<Entry> {
    let mut long = LongName::default();
    for entry in entries(directory) {
        let attributes = u8_at(entry, 11)?;
        if attributes & ATTRIBUTE_LONG == ATTRIBUTE_LONG {
            long.add(entry);
            continue;
        }
        let long = std::mem::take(&mut long).finish(entry.get(..11)?);
        if attributes & ATTRIBUTE_LABEL != 0 {
            continue;
        }
        let fits = |known: &str| known.eq_ignore_ascii_case(name);
        if long.as_deref().is_some_and(fits) || fits(&short_name(entry)) {
            let high = u32::from(u16_at(entry, 20)?);
            let low = u32::from(u16_at(entry, 26)?);
            return Some(Entry {
                directory: attributes & ATTRIBUTE_DIRECTORY != 0,
                start: Start::Cluster(high << 16 | low),
                size: u32_at(entry, 28)?,
            });
        }
    }
    None
}

/// All entries in use, up to the one that says that none follows.
fn entries(directory: &[u8]) -> impl Iterator<Item = &[u8]> {
    directory
        .chunks_exact(ENTRY)
        .take_while(|entry| entry.first() != Some(&0))
        .filter(|entry| entry.first() != Some(&DELETED))
}

/// `NAME.EXT`. Characters beyond ASCII are the code page's, which nobody tells: no name that is asked for has any.
fn short_name(entry: &[u8]) -> String {
    let flags = u8_at(entry, 12).unwrap_or_default();
    let part = |range: std::ops::Range<usize>, lower: u8| {
        let bytes = entry.get(range).unwrap_or_default().trim_ascii_end();
        let bytes = bytes.iter().map(|b| if *b == ESCAPED_E5 { DELETED } else { *b });
        let text: String = bytes.map(char::from).collect();
        if flags & lower == 0 { text } else { text.to_ascii_lowercase() }
    };
    let (name, extension) = (part(0..8, LOWER_NAME), part(8..11, LOWER_EXTENSION));
    if extension.is_empty() { name } else { format!("{name}.{extension}") }
}

/// A long name, gathered from its last piece to its first.
#[derive(Default)]
struct LongName {
    /// Pieces in the order of the disk.
    pieces: Vec<Vec<u16>>,
    /// The number of the piece that must come next; 0 when none is missing.
    next: u8,
    checksum: u8,
}

impl LongName {
    fn add(&mut self, entry: &[u8]) {
        let order = u8_at(entry, 0).unwrap_or_default();
        let checksum = u8_at(entry, 13).unwrap_or_default();
        let number = order & !LAST_PIECE;
        if order & LAST_PIECE != 0 && (1..=MAX_PIECES).contains(&number) {
            *self = Self { pieces: Vec::new(), next: number, checksum };
        }
        if number == 0 || number != self.next || checksum != self.checksum {
            *self = Self::default();
            return;
        }
        let ranges = PIECES.into_iter().filter_map(|range| entry.get(range));
        let units = ranges.flat_map(|bytes| bytes.as_chunks::<2>().0).map(|pair| u16::from_le_bytes(*pair));
        self.pieces.push(units.collect());
        self.next = number - 1;
    }

    /// The name, if it is whole and belongs to the short name that follows it.
    fn finish(self, short: &[u8]) -> Option<String> {
        if self.next != 0 || self.pieces.is_empty() || self.checksum != checksum(short) {
            return None;
        }
        let units = self.pieces.into_iter().rev().flatten().take_while(|unit| *unit != 0);
        char::decode_utf16(units).collect::<Result<_, _>>().ok()
    }
}

fn checksum(short: &[u8]) -> u8 {
    short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}
