//! Rock Ridge: modes, owners, links, devices and names, in a row of entries behind the name of a record.

use std::io;

use super::{Record, SECTOR, records};
use crate::contents::bytes::Bytes;
use crate::contents::damaged;
use crate::contents::field::{le32, part};
use crate::contents::found::MAX_PATH;

/// Most areas that the entries of one record go on in.
const MAX_AREAS: usize = 64;
/// Of a name or a target, or of one component of it: it goes on in the next.
const GOES_ON: u8 = 1;

/// What the entries of a record say.
#[derive(Debug, Default)]
pub(super) struct RockRidge {
    pub(super) mode: u32,
    pub(super) links: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) serial: u32,
    pub(super) device: (u32, u32),
    pub(super) name: Vec<u8>,
    pub(super) target: Vec<u8>,
    /// What comes between the target so far and its next component.
    joins: Joins,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Joins {
    #[default]
    Nothing,
    Slash,
}

/// Bytes that come before the entries in each record but the root's own, if the volume has such entries at all (SUSP 5.3).
pub(super) fn skip(bytes: &Bytes, root: &Record) -> io::Result<Option<usize>> {
    let own = records(bytes, root)?.into_iter().next();
    let own = own.ok_or_else(|| damaged("its root directory is empty"))?;
    Ok(match own.system_use.as_slice() {
        [b'S', b'P', 7, 1, 0xBE, 0xEF, skip, ..] => Some((*skip).into()),
        _ => None,
    })
}

impl RockRidge {
    /// Reads the entries of a record.
    pub(super) fn of(bytes: &Bytes, record: &Record, skip: usize) -> io::Result<Self> {
        let mut found = Self::default();
        let mut area = record.system_use.get(skip..).unwrap_or_default().to_vec();
        for _ in 0..MAX_AREAS {
            match found.read(&area)? {
                None => return Ok(found),
                Some((sector, offset, len)) => {
                    let at = u64::from(sector) * SECTOR + u64::from(offset);
                    if u64::from(len) > SECTOR {
                        return Err(damaged("the attributes of an entry are longer than a sector"));
                    }
                    area = bytes.read(at, len as usize)?;
                }
            }
        }
        Err(damaged("the attributes of an entry go on and on"))
    }

    /// Reads one area; returns where the entries go on.
    fn read(&mut self, area: &[u8]) -> io::Result<Option<(u32, u32, u32)>> {
        let (mut at, mut next) = (0, None);
        while let Some(header) = area.get(at..at + 4) {
            let len = usize::from(header[2]);
            if len < 4 {
                break;
            }
            let entry = part(area, at, len)?;
            match &entry[..2] {
                b"PX" => {
                    let numbers = [4, 12, 20, 28].map(|at| le32(entry, at));
                    let [mode, links, uid, gid] = numbers;
                    (self.mode, self.links, self.uid, self.gid) = (mode?, links?, uid?, gid?);
                    // Older volumes do not have it.
                    self.serial = le32(entry, 36).unwrap_or_default();
                }
                b"PN" => {
                    let (high, low) = (le32(entry, 4)?, le32(entry, 12)?);
                    self.device = if high == 0 { (low >> 8, low & 0xFF) } else { (high, low) };
                }
                b"NM" => self.name.extend_from_slice(entry.get(5..).unwrap_or_default()),
                b"SL" => self.link(entry.get(5..).unwrap_or_default())?,
                b"CE" => next = Some((le32(entry, 4)?, le32(entry, 12)?, le32(entry, 20)?)),
                b"ST" => break,
                _ => {}
            }
            at += len;
        }
        if self.name.len() as u64 > MAX_PATH || self.target.len() as u64 > MAX_PATH {
            return Err(damaged("a name or a target is longer than paths can be"));
        }
        Ok(next)
    }

    /// Appends the components of a target.
    fn link(&mut self, mut components: &[u8]) -> io::Result<()> {
        while let [flags, len, rest @ ..] = components {
            let text = part(rest, 0, (*len).into())?;
            if self.joins == Joins::Slash {
                self.target.push(b'/');
            }
            self.joins = if flags & GOES_ON == 0 { Joins::Slash } else { Joins::Nothing };
            match flags & !GOES_ON {
                2 => self.target.push(b'.'),
                4 => self.target.extend_from_slice(b".."),
                8 => {
                    self.target.push(b'/');
                    self.joins = Joins::Nothing;
                }
                _ => self.target.extend_from_slice(text),
            }
            components = part(rest, text.len(), rest.len() - text.len())?;
        }
        Ok(())
    }
}
