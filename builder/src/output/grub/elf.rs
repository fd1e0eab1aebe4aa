//! The little of ELF (32-bit, little-endian: System V ABI, Intel386 supplement) that GRUB's kernel and modules need.

use std::ops::Range;

use thiserror::Error;

/// `sh_type` of a section with content.
pub const PROGBITS: u32 = 1;
/// `sh_flags` of a section that is loaded.
pub const ALLOC: u32 = 2;

const SYMTAB: u32 = 2;
const REL: u32 = 9;
const HEADER_LEN: usize = 52;
const SECTION_LEN: usize = 40;
const SYMBOL_LEN: usize = 16;
const RELOCATION_LEN: usize = 8;

/// What is wrong with an ELF file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ElfError {
    /// Another kind of file.
    #[error("not a 32-bit little-endian ELF file")]
    Magic,
    /// A table or section reaches beyond the end of the file.
    #[error("a part of the ELF file reaches beyond its end")]
    Truncated,
}

/// A section's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u32,
    /// `sh_addr`.
    pub address: u32,
    offset: u32,
    size: u32,
    link: u32,
    info: u32,
}

/// An ELF file, in memory.
#[derive(Debug)]
pub struct Elf<'a> {
    bytes: &'a [u8],
    sections: Vec<Section>,
}

impl<'a> Elf<'a> {
    /// Reads the section headers.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        let header = bytes.get(..HEADER_LEN).ok_or(ElfError::Magic)?;
        if header[..6] != *b"\x7fELF\x01\x01" {
            return Err(ElfError::Magic);
        }
        let (table, count) = (u32_at(header, 32)? as usize, u16_at(header, 48)? as usize);
        let sections =
            (0..count).map(|index| section(slice(bytes, table + index * SECTION_LEN, SECTION_LEN)?));
        Ok(Self { bytes, sections: sections.collect::<Result<_, _>>()? })
    }

    /// All sections, in the file's order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// A section's bytes.
    pub fn content(&self, section: &Section) -> Result<&'a [u8], ElfError> {
        slice(self.bytes, section.offset as usize, section.size as usize)
    }

    /// Where in the file the definition of the symbol `name` is, if it is defined here.
    pub fn definition(&self, name: &str) -> Result<Option<Definition>, ElfError> {
        for table in self.sections.iter().filter(|s| s.kind == SYMTAB) {
            let names = self.content(self.sections.get(table.link as usize).ok_or(ElfError::Truncated)?)?;
            for symbol in self.content(table)?.chunks_exact(SYMBOL_LEN) {
                let at = u32_at(symbol, 0)? as usize;
                let found = names.get(at..).and_then(|rest| rest.split(|b| *b == 0).next());
                let index = u16_at(symbol, 14)? as usize;
                // 0 is "undefined", 0xFF00 and above are no sections.
                if found != Some(name.as_bytes()) || index == 0 || index >= 0xFF00 {
                    continue;
                }
                let section = self.sections.get(index).ok_or(ElfError::Truncated)?;
                let (value, size) = (u32_at(symbol, 4)? as usize, u32_at(symbol, 8)? as usize);
                let content = self.content(section)?;
                slice(content, value, size)?;
                let start = section.offset as usize + value;
                return Ok(Some(Definition { section: index, value, file: start..start + size }));
            }
        }
        Ok(None)
    }

    /// The offsets inside the section with number `section` that relocations change.
    pub fn relocated(&self, section: usize) -> Result<Vec<usize>, ElfError> {
        let mut offsets = Vec::new();
        for table in self.sections.iter().filter(|s| s.kind == REL && s.info as usize == section) {
            for relocation in self.content(table)?.chunks_exact(RELOCATION_LEN) {
                offsets.push(u32_at(relocation, 0)? as usize);
            }
        }
        Ok(offsets)
    }
}

/// Where a symbol is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The number of its section.
    pub section: usize,
    /// Its offset inside the section.
    pub value: usize,
    /// Its bytes, as a range of the file.
    pub file: Range<usize>,
}

fn section(header: &[u8]) -> Result<Section, ElfError> {
    Ok(Section {
        kind: u32_at(header, 4)?,
        flags: u32_at(header, 8)?,
        address: u32_at(header, 12)?,
        offset: u32_at(header, 16)?,
        size: u32_at(header, 20)?,
        link: u32_at(header, 24)?,
        info: u32_at(header, 28)?,
    })
}

fn slice(bytes: &[u8], start: usize, len: usize) -> Result<&[u8], ElfError> {
    start.checked_add(len).and_then(|end| bytes.get(start..end)).ok_or(ElfError::Truncated)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, ElfError> {
    let field = slice(bytes, at, 2)?;
    Ok(u16::from_le_bytes([field[0], field[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, ElfError> {
    let field = slice(bytes, at, 4)?;
    Ok(u32::from_le_bytes([field[0], field[1], field[2], field[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_kind_of_file_is_refused() {
        assert_eq!(Elf::parse(b"").unwrap_err(), ElfError::Magic);
        assert_eq!(Elf::parse(&[b'#'; 100]).unwrap_err(), ElfError::Magic);
    }

    proptest! {
        #[test]
        fn damaged_files_are_errors_and_never_panics(
            fields in proptest::collection::vec(any::<u8>(), 46),
            rest in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(9), any::<u8>()], 0..400),
        ) {
            let bytes = [b"\x7fELF\x01\x01".as_slice(), &fields, &rest].concat();
            if let Ok(elf) = Elf::parse(&bytes) {
                for (index, section) in elf.sections().iter().enumerate() {
                    let _may_be_truncated = elf.content(section);
                    let _may_be_truncated = elf.relocated(index);
                }
                let _may_be_truncated = elf.definition("");
            }
        }
    }
}
