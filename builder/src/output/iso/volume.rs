//! Writes what was laid out, from front to back.

use std::io::{self, Write};

use super::field::{both, both16, long_time, padded};
use super::layout::Layout;
use super::{IsoError, SECTOR, el_torito};
use crate::tree::{GENERATED_MTIME, display};

const DESCRIPTORS: usize = 16;

/// How a volume is told from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    label: String,
    /// The time of its last change, in hundredths of a second since 1970.
    changed: u64,
}

impl Identity {
    /// A volume with this label: up to 32 letters, digits, blanks and `_-.`.
    ///
    /// # Errors
    /// When the label is another one.
    pub fn new(label: &str) -> Result<Self, IsoError> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || " _-.".contains(c);
        if label.len() > 32 || !label.chars().all(is_allowed) {
            return Err(IsoError::Label(label.to_owned()));
        }
        Ok(Self { label: label.to_owned(), changed: GENERATED_MTIME * 100 })
    }

    /// With a UUID of its own, made of a number that is its content's. ISO 9660 has no UUIDs: all that reads one takes the time
    /// of the last change, and so that is a moment between 1970 and 2106 which means nothing else.
    #[must_use]
    pub fn with_number(mut self, number: u64) -> Self {
        self.changed = number % ((1 << 32) * 100);
        self
    }

    /// The UUID as `blkid` and `root=UUID=…` have it: `2026-01-31-12-00-00-00`.
    #[must_use]
    pub fn uuid(&self) -> String {
        let digits = self.changed();
        let text: String = digits[..16].iter().map(|digit| char::from(*digit)).collect();
        let (year, rest) = text.split_at(4);
        let pairs = rest.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned());
        std::iter::once(year.to_owned()).chain(pairs).collect::<Vec<_>>().join("-")
    }

    fn changed(&self) -> [u8; 17] {
        long_time(self.changed / 100, self.changed % 100)
    }
}

/// A volume that is ready to be written.
#[derive(Debug)]
pub struct Volume<'a> {
    /// What lies where.
    pub layout: &'a Layout<'a>,
    /// Its name.
    pub identity: &'a Identity,
    /// The sector of the boot catalogue.
    pub boot_catalogue: Option<u32>,
    /// Sectors in all: those of the layout, or more.
    pub sectors: u32,
}

impl Volume<'_> {
    /// Writes all but the files that are written later: from sector 0 to the end of the last other file.
    ///
    /// # Errors
    /// When a file cannot be read, or writing fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), IsoError> {
        let layout = self.layout;
        let mut start = vec![0; DESCRIPTORS * SECTOR as usize];
        let mut sector = |content: &[u8]| {
            start.extend(content);
            start.resize(start.len().next_multiple_of(SECTOR as usize), 0);
        };
        sector(&self.descriptor());
        match self.boot_catalogue {
            Some(catalogue) => sector(&el_torito::boot_record(catalogue)),
            None => sector(TERMINATOR),
        }
        sector(TERMINATOR);
        sector(&layout.path_table_bytes(false));
        sector(&layout.path_table_bytes(true));
        out.write_all(&start).map_err(IsoError::Write)?;
        for directory in layout.directories() {
            out.write_all(&directory).map_err(IsoError::Write)?;
        }
        for file in layout.files() {
            let copied = file.content.copy_to(out).and_then(|()| pad(out, file.content.len()));
            copied.map_err(|source| IsoError::Copy {
                path: display(file.path),
                origin: file.node.origin.to_string(),
                source,
            })?;
        }
        Ok(())
    }

    /// The primary volume descriptor (ECMA-119, 8.4).
    fn descriptor(&self) -> Vec<u8> {
        let (layout, table) = (self.layout, self.layout.path_table());
        let mut d = Vec::with_capacity(SECTOR as usize);
        d.extend(b"\x01CD001\x01\0");
        d.extend(padded::<32>("LINUX")); // system
        d.extend(padded::<32>(&self.identity.label));
        d.extend([0; 8]);
        d.extend(both(self.sectors));
        d.extend([0; 32]);
        d.extend(both16(1)); // volumes in the set
        d.extend(both16(1)); // number of this one
        d.extend(both16(SECTOR as u16));
        d.extend(both(table.len));
        d.extend(table.first.to_le_bytes());
        d.extend([0; 4]); // no second copy
        d.extend(layout.second_path_table().to_be_bytes());
        d.extend([0; 4]);
        d.extend(layout.root_record());
        d.extend(padded::<128>("")); // volume set
        d.extend(padded::<128>("")); // publisher
        d.extend(padded::<128>("")); // data preparer
        d.extend(padded::<128>("LKB")); // application
        d.extend(padded::<111>("")); // copyright, abstract and bibliography files
        d.extend(long_time(GENERATED_MTIME, 0)); // made
        d.extend(self.identity.changed());
        for _ in ["expires", "effective from"] {
            d.extend(b"0000000000000000\0");
        }
        d.extend([1, 0]); // version of the file structure
        d
    }
}

const TERMINATOR: &[u8] = b"\xFFCD001\x01";

fn pad(out: &mut dyn Write, len: u64) -> io::Result<()> {
    const ZEROS: [u8; SECTOR as usize] = [0; SECTOR as usize];
    out.write_all(&ZEROS[..(len.next_multiple_of(SECTOR) - len) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_a_time_that_follows_from_the_content() {
        let identity = Identity::new("x").unwrap();
        assert_eq!(identity.uuid(), "2017-04-18-16-30-00-00");
        assert_eq!(identity.clone().with_number(1234).uuid(), "1970-01-01-00-00-12-34");
        assert_eq!(identity.with_number(u64::MAX).uuid().len(), 22);
    }

    #[test]
    fn a_label_that_has_no_room_is_refused() {
        assert!(Identity::new(&"x".repeat(33)).is_err());
        assert!(Identity::new("a\nb").is_err());
    }
}
