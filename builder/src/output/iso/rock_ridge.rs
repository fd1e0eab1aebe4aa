//! Rock Ridge: modes, owners, links, devices and names as Linux has them.
//!
//! Each file has a row of entries behind its directory record, `{signature, length, version 1, …}`. What has no room there goes
//! on in a continuation area, to which a `CE` entry leads; such an area is within one sector. Times are not repeated: Linux
//! takes those of the record.

use super::SECTOR;
use super::field::both;

/// The longest entry in bytes.
const LONGEST: usize = 255;
/// Bytes of a `CE` entry.
const CONTINUE: usize = 28;
/// Of a name or a link, or of one component of it: it goes on in the next.
const GOES_ON: u8 = 1;

/// What a file is besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attributes {
    /// Type and permissions.
    pub(super) mode: u32,
    /// Number of names.
    pub(super) links: u32,
    /// Owner.
    pub(super) uid: u32,
    /// Group.
    pub(super) gid: u32,
    /// The same for all names of one file.
    pub(super) serial: u32,
}

/// `PX` (RRIP 4.1.1).
pub(super) fn attributes(of: Attributes) -> Vec<u8> {
    let fields = [of.mode, of.links, of.uid, of.gid, of.serial];
    entry(b"PX", &fields.iter().flat_map(|field| both(*field)).collect::<Vec<_>>())
}

/// `PN` (RRIP 4.1.2): the high and the low half of a number that each system makes its own way. Small ones are `MAJOR << 8 | MINOR`
/// with all of them; Linux takes the halves of larger ones for major and minor number, and no reader agrees with all others.
pub(super) fn device(major: u32, minor: u32) -> Vec<u8> {
    let (high, low) = match (u8::try_from(minor), major) {
        (Ok(minor), ..0x00FF_FFFF) => (0, major << 8 | u32::from(minor)),
        _ => (major, minor),
    };
    entry(b"PN", &[both(high), both(low)].concat())
}

/// `NM` (RRIP 4.1.4).
pub(super) fn name(name: &[u8]) -> Vec<Vec<u8>> {
    let pieces: Vec<&[u8]> = name.chunks(LONGEST - 5).collect();
    let last = pieces.len().saturating_sub(1);
    let flags = |at| if at == last { 0 } else { GOES_ON };
    pieces.iter().enumerate().map(|(at, piece)| entry(b"NM", &[&[flags(at)], *piece].concat())).collect()
}

/// `SL` (RRIP 4.1.3): the target in components.
pub(super) fn symlink(target: &[u8]) -> Vec<Vec<u8>> {
    const ROOM: usize = LONGEST - 5;
    let mut entries: Vec<Vec<u8>> = vec![Vec::new()];
    for component in components(target) {
        let full = entries.last().is_some_and(|entry| entry.len() + component.len() > ROOM);
        if full {
            entries.push(Vec::new());
        }
        if let Some(entry) = entries.last_mut() {
            entry.extend(component);
        }
    }
    let last = entries.len() - 1;
    let flags = |at| if at == last { 0 } else { GOES_ON };
    entries.iter().enumerate().map(|(at, parts)| entry(b"SL", &[&[flags(at)], &parts[..]].concat())).collect()
}

/// `{flags, length, text}` for each part of a path. What is between two slashes, or behind the last, is a component without
/// text: so the target is read back as it was written.
fn components(target: &[u8]) -> Vec<Vec<u8>> {
    const ITSELF: u8 = 2;
    const PARENT: u8 = 4;
    const ROOT: u8 = 8;
    const LONGEST_TEXT: usize = LONGEST - 7;
    let (mut components, relative) = match target.strip_prefix(b"/") {
        Some(rest) => (vec![vec![ROOT, 0]], rest),
        None => (Vec::new(), target),
    };
    if relative.is_empty() {
        return components;
    }
    for part in relative.split(|byte| *byte == b'/') {
        match part {
            b"." => components.push(vec![ITSELF, 0]),
            b".." => components.push(vec![PARENT, 0]),
            b"" => components.push(vec![0, 0]),
            text => {
                let last = text.len().div_ceil(LONGEST_TEXT) - 1;
                components.extend(text.chunks(LONGEST_TEXT).enumerate().map(|(at, piece)| {
                    let flags = if at == last { 0 } else { GOES_ON };
                    [&[flags, piece.len() as u8], piece].concat()
                }));
            }
        }
    }
    components
}

/// What the root directory's record of itself has first: this is SUSP, with Rock Ridge in it (SUSP 5.3, 5.5).
pub(super) fn introduction() -> [Vec<u8>; 2] {
    const ID: &[u8] = b"IEEE_P1282";
    let mut extension = vec![ID.len() as u8, 0, 0, 1];
    extension.extend(ID);
    [entry(b"SP", &[0xBE, 0xEF, 0]), entry(b"ER", &extension)]
}

fn entry(signature: &[u8; 2], data: &[u8]) -> Vec<u8> {
    let mut entry = signature.to_vec();
    // No caller has more than LONGEST.
    entry.extend([(data.len() + 4) as u8, 1]);
    entry.extend(data);
    entry
}

/// The continuation areas of one directory, which follow it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Continuation {
    /// The sector where they begin.
    pub(super) first: u32,
    /// Their content so far.
    pub(super) bytes: Vec<u8>,
}

impl Continuation {
    /// The entries for the `room` bytes behind a directory record; the rest of them is put here.
    pub(super) fn pack(&mut self, entries: &[Vec<u8>], room: usize) -> Vec<u8> {
        let all: usize = entries.iter().map(Vec::len).sum();
        if all <= room {
            return entries.concat();
        }
        let mut used = 0;
        let fit = entries.iter().take_while(|entry| {
            used += entry.len();
            used + CONTINUE <= room
        });
        let (here, rest) = entries.split_at(fit.count());
        let len = rest.iter().map(Vec::len).sum::<usize>().min(SECTOR as usize);
        let at = self.reserve(len);
        let behind = self.pack(rest, len);
        self.bytes[at..at + behind.len()].copy_from_slice(&behind);
        let sector = self.first + (at / SECTOR as usize) as u32;
        let place = [sector, (at % SECTOR as usize) as u32, behind.len() as u32];
        let leads_on = entry(b"CE", &place.iter().flat_map(|field| both(*field)).collect::<Vec<_>>());
        [here.concat(), leads_on].concat()
    }

    /// Room for `len` bytes, a sector at most, within one sector.
    fn reserve(&mut self, len: usize) -> usize {
        let sector = SECTOR as usize;
        if self.bytes.len() % sector + len > sector {
            self.bytes.resize(self.bytes.len().next_multiple_of(sector), 0);
        }
        let at = self.bytes.len();
        self.bytes.resize(at + len, 0);
        at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Linux makes of the components of a link (`fs/isofs/rock.c`, `get_symlink_chunk`).
    fn read_link(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut target = Vec::new();
        for entry in entries {
            let goes_on = entry[4] & GOES_ON != 0;
            let mut rest = &entry[5..];
            while rest.len() > 1 {
                let (flags, text) = (rest[0], &rest[2..2 + usize::from(rest[1])]);
                match flags & !GOES_ON {
                    0 => target.extend(text),
                    2 => target.push(b'.'),
                    4 => target.extend(b".."),
                    8 => target.push(b'/'),
                    other => panic!("flags {other}"),
                }
                rest = &rest[2 + text.len()..];
                let last_here = rest.len() < 2;
                if flags & 8 == 0 && flags & GOES_ON == 0 && (!last_here || goes_on) {
                    target.push(b'/');
                }
            }
        }
        target
    }

    /// All entries from `inline` on, wherever they are.
    fn follow(inline: &[u8], areas: &Continuation) -> Vec<Vec<u8>> {
        let (mut found, mut rest) = (Vec::new(), inline);
        while rest.len() >= 4 {
            let (entry, behind) = rest.split_at(usize::from(rest[2]));
            rest = behind;
            if &entry[..2] == b"CE" {
                let field = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().unwrap()) as usize;
                let (sector, at, len) = (field(4) - areas.first as usize, field(12), field(20));
                assert!(at + len <= 2048 && rest.is_empty());
                rest = &areas.bytes[sector * 2048 + at..][..len];
                continue;
            }
            found.push(entry.to_vec());
        }
        found
    }

    #[test]
    fn linux_reads_the_devices_that_were_written() {
        for (major, minor) in [(1, 3), (5, 1), (253, 1000), (0, 7), (259, 255), (4095, 1_048_575)] {
            let entry = device(major, minor);
            let [high, low] = [4, 12].map(|at| u32::from_le_bytes(entry[at..at + 4].try_into().unwrap()));
            // fs/isofs/rock.c, parse_rock_ridge_inode_internal
            let read = if low & !0xFF != 0 && high == 0 { (low >> 8, low & 0xFF) } else { (high, low) };
            assert_eq!(read, (major, minor));
        }
    }

    #[test]
    fn a_link_is_read_back_as_it_was_written() {
        let long = format!("/{}/../{}//x", "a".repeat(255), "b/".repeat(1700));
        for target in ["a", "/", "/a/b", "../x", "./x/.", "a/", "//a", "a//b", ".../..x", &long] {
            assert_eq!(String::from_utf8(read_link(&symlink(target.as_bytes()))).unwrap(), target);
        }
    }

    #[test]
    fn what_has_no_room_in_a_record_is_found_in_areas_that_no_sector_ends_in() {
        let mut areas = Continuation { first: 77, bytes: Vec::new() };
        for target in [10, 300, 1900, 4000, 4095, 500] {
            let mut entries = vec![attributes(Attributes { mode: 1, links: 2, uid: 3, gid: 4, serial: 5 })];
            entries.extend(name(&[b'n'; 253]));
            entries.extend(symlink(&vec![b'x'; target]));
            let inline = areas.pack(&entries, 190);
            assert!(inline.len() <= 190);
            assert_eq!(follow(&inline, &areas), entries);
        }
    }

    proptest! {
        #[test]
        fn any_link_is_read_back(target in "[a./]{1,600}") {
            let entries = symlink(target.as_bytes());
            prop_assert!(entries.iter().all(|entry| usize::from(entry[2]) == entry.len()));
            prop_assert_eq!(String::from_utf8(read_link(&entries)).unwrap(), target);
        }
    }
}
