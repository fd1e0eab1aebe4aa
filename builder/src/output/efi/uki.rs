//! A unified kernel image: one EFI program with all that a boot needs, which can be signed as a whole.
//!
//! Source: the UAPI Group's "Unified Kernel Image" specification, which names the sections; systemd-stub(7).

use std::io::{self, Read};

use thiserror::Error;

use super::StubError;
use super::pe::{Headers, PeError, SECTION_HEADER};

/// `IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ`.
const CHARACTERISTICS: u32 = 0x4000_0040;

/// Why no image could be made.
#[derive(Debug, Error)]
pub enum UkiError {
    /// There is no stub.
    #[error(transparent)]
    Stub(#[from] StubError),
    /// The stub is no program.
    #[error("systemd's EFI stub cannot be used: {0}")]
    Damaged(#[from] PeError),
    /// The stub's section table is full.
    #[error("systemd's EFI stub has no room for another section: {0}")]
    NoRoom(&'static str),
    /// More than a program can hold.
    #[error("{name} has {len} bytes, and all sections of an EFI program together have less than 4 GiB")]
    TooLarge {
        /// Which section.
        name: &'static str,
        /// Its length.
        len: u64,
    },
    /// The kernel would cut it off.
    #[error("the kernel command line has {len} bytes, and this kernel takes {limit}")]
    CommandLine {
        /// Its length.
        len: usize,
        /// The longest that the kernel takes.
        limit: u32,
    },
}

/// An image that is being put together: sections are added, then all of it is read.
pub struct Uki<'a> {
    /// The stub up to the end of its last section; its headers grow with the sections.
    head: Vec<u8>,
    headers: Headers,
    sections: Vec<Section<'a>>,
    /// Bytes of the file so far.
    len: u64,
}

struct Section<'a> {
    name: &'static str,
    /// In the file.
    start: u64,
    len: u64,
    /// With the padding behind it.
    content: Box<dyn Read + 'a>,
}

impl std::fmt::Debug for Uki<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uki").field("len", &self.len).field("sections", &self.sections.len()).finish()
    }
}

impl<'a> Uki<'a> {
    /// An image of the stub alone.
    ///
    /// # Errors
    /// When the stub is no program.
    pub fn new(stub: &[u8]) -> Result<Self, UkiError> {
        let headers = Headers::parse(stub)?;
        let mut head = stub.get(..headers.file_end as usize).ok_or(PeError::Damaged)?.to_vec();
        let alignment = headers.alignment.1 as usize;
        head.resize(head.len().next_multiple_of(alignment), 0);
        // Symbols for debuggers lay behind the sections, and a check sum nobody asks for.
        put(&mut head, headers.coff + 8, &[0; 8])?;
        put(&mut head, headers.optional + 64, &[0; 4])?;
        let len = head.len() as u64;
        Ok(Self { head, headers, sections: Vec::new(), len })
    }

    /// Adds a section of `len` bytes, which `content` must have.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn add(&mut self, name: &'static str, len: u64, content: Box<dyn Read + 'a>) -> Result<(), UkiError> {
        let too_large = || UkiError::TooLarge { name, len };
        let headers = &mut self.headers;
        let (in_memory, in_file) = headers.alignment;
        let start = u32::try_from(self.len).map_err(|_| too_large())?;
        let size = u32::try_from(len).map_err(|_| too_large())?;
        let padded = size.checked_next_multiple_of(in_file).ok_or_else(too_large)?;
        let memory = headers.memory_end.checked_next_multiple_of(in_memory).ok_or_else(too_large)?;
        let memory_end = memory.checked_add(size).ok_or_else(too_large)?;
        let image_end = memory_end.checked_next_multiple_of(in_memory).ok_or_else(too_large)?;
        if headers.free.len() < SECTION_HEADER {
            return Err(UkiError::NoRoom(name));
        }

        let mut entry = [0; SECTION_HEADER];
        for (to, from) in entry[..8].iter_mut().zip(name.bytes()) {
            *to = from;
        }
        for (at, value) in [(8, size), (12, memory), (16, padded), (20, start), (36, CHARACTERISTICS)] {
            entry[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        put(&mut self.head, headers.free.start, &entry)?;
        headers.free.start += SECTION_HEADER;
        headers.sections += 1;
        headers.memory_end = memory_end;
        put(&mut self.head, headers.coff + 2, &headers.sections.to_le_bytes())?;
        put(&mut self.head, headers.optional + 56, &image_end.to_le_bytes())?;
        add(&mut self.head, headers.optional + 8, padded)?;

        self.len += u64::from(padded);
        let content = Box::new(content.chain(io::repeat(0).take(u64::from(padded - size))));
        self.sections.push(Section { name, start: start.into(), len, content });
        Ok(())
    }

    /// Bytes of the whole image.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it; there always is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where in the image a section's content begins, and its length, in bytes.
    #[must_use]
    pub fn place_of(&self, name: &str) -> Option<(u64, u64)> {
        let section = self.sections.iter().find(|section| section.name == name)?;
        Some((section.start, section.len))
    }

    /// Reads the whole image.
    #[must_use]
    pub fn into_reader(self) -> Box<dyn Read + 'a> {
        let head: Box<dyn Read + 'a> = Box::new(io::Cursor::new(self.head));
        self.sections.into_iter().fold(head, |before, section| Box::new(before.chain(section.content)))
    }
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) -> Result<(), PeError> {
    file.get_mut(at..at + bytes.len()).ok_or(PeError::Damaged)?.copy_from_slice(bytes);
    Ok(())
}

/// Adds to a number in the headers.
fn add(file: &mut [u8], at: usize, value: u32) -> Result<(), PeError> {
    let bytes = file.get_mut(at..at + 4).ok_or(PeError::Damaged)?;
    let sum = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).saturating_add(value);
    bytes.copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::pe::program_for_tests;
    use super::*;

    fn image(room: usize, sections: &[(&'static str, &'static [u8])]) -> Result<Vec<u8>, UkiError> {
        let mut uki = Uki::new(&program_for_tests(0x8664, room))?;
        for (name, content) in sections {
            uki.add(name, content.len() as u64, Box::new(*content))?;
        }
        let len = uki.len();
        let mut bytes = Vec::new();
        uki.into_reader().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, len);
        Ok(bytes)
    }

    /// Name, size in memory, address, size in the file and place in the file, as binutils read them.
    fn sections(image: &[u8]) -> Vec<(String, u64, u64, u64)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), image).unwrap();
        let out = Command::new("objdump").arg("-h").arg(file.path()).output().expect("running objdump");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row.len() == 7 && row[0].parse::<u32>().is_ok())
            .map(|row| (row[1].to_owned(), hex(row[2]), hex(row[3]), hex(row[5])))
            .collect()
    }

    #[test]
    fn sections_follow_each_other_in_memory_and_in_the_file() {
        let linux = [7; 5000];
        let image = image(2, &[(".cmdline", b"console=ttyS0"), (".linux", linux.to_vec().leak())]).unwrap();
        let found = sections(&image);
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, [".text", ".cmdline", ".linux"]);
        let (_, size, memory, start) = found[1];
        assert_eq!((size, memory), (13, 0x3000));
        assert_eq!(&image[start as usize..][..13], b"console=ttyS0");
        let (_, size, memory, start) = found[2];
        assert_eq!((size, memory), (5000, 0x4000));
        assert_eq!(image[start as usize..][..5000], linux);
        assert_eq!(image.len() % 512, 0);
    }

    #[test]
    fn symbols_and_check_sum_of_the_stub_are_gone() {
        let image = image(1, &[(".linux", b"k")]).unwrap();
        assert_eq!(image[0x4C..0x54], [0; 8]);
        assert_eq!(image[0x58 + 64..0x58 + 68], [0; 4]);
    }

    #[test]
    fn a_full_section_table_and_four_gigabytes_are_refused() {
        assert!(matches!(image(1, &[(".a", b"1"), (".b", b"2")]), Err(UkiError::NoRoom(".b"))));
        let mut uki = Uki::new(&program_for_tests(0x8664, 2)).unwrap();
        let error = uki.add(".initrd", 4 << 30, Box::new(io::empty())).unwrap_err().to_string();
        assert!(error.contains(".initrd has 4294967296 bytes"), "{error}");
        let error = uki.add(".initrd", (4 << 30) - 1, Box::new(io::empty())).unwrap_err();
        assert!(matches!(error, UkiError::TooLarge { .. }));
    }
}
