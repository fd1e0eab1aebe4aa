//! Rock Ridge's names in the system use area of directory records (IEEE P1281 "SUSP", P1282 "RRIP").

use super::SECTOR;
use crate::volume::Fault;
use crate::volume::field::{u8_at, u32_at};
use crate::volume::image::{self, Image};

/// Continuation areas of one record.
const MAX_CONTINUATIONS: usize = 8;
/// Largest continuation area, in bytes: it stays in one sector.
const MAX_CONTINUATION: usize = 2048;
/// Longest name, in bytes, as Linux has it.
const MAX_NAME: usize = 255;

const NAME_CONTINUES: u8 = 0x01;
/// Itself or its parent.
const NAME_SPECIAL: u8 = 0x06;

/// `S_IFMT`, and what it may say: `PX`'s mode is POSIX's.
const MODE_KIND: u32 = 0o170_000;
const MODE_FILE: u32 = 0o100_000;
const MODE_DIRECTORY: u32 = 0o040_000;

/// What kind of thing a record describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file or directory; the record's flags tell which.
    Plain,
    /// A link, device or pipe.
    Other,
}

/// What Rock Ridge says of a record.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: Option<String>,
    pub(super) kind: Kind,
}

/// Whether a root directory's bytes begin with `SP`, and how many bytes it says to skip in other records.
pub(super) fn skip(root: &[u8]) -> Option<usize> {
    // The first record is the directory itself, whose name is one byte long.
    let length = usize::from(u8_at(root, 0)?);
    let area = root.get(..length)?.get(34..)?;
    match area {
        [b'S', b'P', 7, 1, 0xbe, 0xef, skip, ..] => Some(usize::from(*skip)),
        _ => None,
    }
}

/// Reads a system use area and its continuations.
pub(super) fn read(image: &dyn Image, area: &[u8]) -> Result<Found, Fault> {
    let mut name = Vec::new();
    let mut complete = false;
    let mut kind = Kind::Plain;
    let mut next = None;
    let mut area = area.to_vec();
    for _ in 0..=MAX_CONTINUATIONS {
        let mut rest = area.as_slice();
        while let [a, b, length @ 4..=u8::MAX, _version, ..] = rest {
            let Some((field, after)) = rest.split_at_checked(usize::from(*length)) else { break };
            match [*a, *b] {
                [b'N', b'M'] if !complete => {
                    let flags = u8_at(field, 4).unwrap_or(NAME_SPECIAL);
                    if flags & NAME_SPECIAL == 0 {
                        name.extend_from_slice(field.get(5..).unwrap_or_default());
                    }
                    complete = flags & NAME_CONTINUES == 0;
                }
                [b'P', b'X'] => {
                    let mode = u32_at(field, 4).unwrap_or_default() & MODE_KIND;
                    if mode != MODE_FILE && mode != MODE_DIRECTORY {
                        kind = Kind::Other;
                    }
                }
                [b'S', b'L'] => kind = Kind::Other,
                [b'C', b'E'] => next = continuation(field),
                [b'S', b'T'] => break,
                _ => {}
            }
            rest = after;
        }
        if name.len() > MAX_NAME {
            return Err(Fault::Damaged("a name is too long"));
        }
        let Some((offset, length)) = next.take() else {
            let name = (!name.is_empty()).then(|| String::from_utf8_lossy(&name).into_owned());
            return Ok(Found { name, kind });
        };
        if length > MAX_CONTINUATION {
            return Err(Fault::Damaged("a continuation area is too long"));
        }
        area = image::read(image, offset, length)?
            .ok_or(Fault::Damaged("a continuation area is beyond the end"))?;
    }
    Err(Fault::Damaged("continuation areas go on for ever"))
}

/// Offset and length in bytes of the area that `CE` names.
fn continuation(field: &[u8]) -> Option<(u64, usize)> {
    let block = u64::from(u32_at(field, 4)?);
    let offset = u64::from(u32_at(field, 12)?);
    let length = u32_at(field, 20)? as usize;
    Some((block * SECTOR + offset, length))
}
