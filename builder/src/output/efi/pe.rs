//! PE/COFF headers, as far as sections are concerned.
//!
//! Source: Microsoft's "PE Format", sections "COFF File Header", "Optional Header" and "Section Table".

use std::ops::Range;

use thiserror::Error;

/// Bytes of an entry of the section table.
pub(super) const SECTION_HEADER: usize = 40;

const POINTER: usize = 0x3C;
const SIGNATURE: &[u8; 4] = b"PE\0\0";
const COFF_HEADER: usize = 20;
const PE32_PLUS: u16 = 0x20B;

/// Why something is no program that can be extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PeError {
    /// There are no headers.
    #[error("it has no PE header")]
    NoHeader,
    /// The headers name what is not in the file, or overlap.
    #[error("its PE header is damaged")]
    Damaged,
}

/// Where the fields are that matter here; offsets in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Headers {
    /// `Machine`: the architecture.
    pub(super) machine: u16,
    /// The COFF header.
    pub(super) coff: usize,
    /// The optional header.
    pub(super) optional: usize,
    /// `SectionAlignment` and `FileAlignment`; powers of two.
    pub(super) alignment: (u32, u32),
    /// Where the next entry of the section table would be, and where the room for it ends.
    pub(super) free: Range<usize>,
    /// Number of sections.
    pub(super) sections: u16,
    /// End of the last section in memory.
    pub(super) memory_end: u32,
    /// End of the last section in the file.
    pub(super) file_end: u32,
}

/// `IMAGE_FILE_MACHINE_AMD64`.
pub(in crate::output) const X86_64: u16 = 0x8664;
/// `IMAGE_FILE_MACHINE_ARM64`.
pub(in crate::output) const ARM64: u16 = 0xAA64;
/// `IMAGE_FILE_MACHINE_RISCV64`.
pub(in crate::output) const RISCV64: u16 = 0x5064;

/// The architecture of a program by its first bytes; no more of it need be there.
pub(in crate::output) fn machine(start: &[u8]) -> Result<u16, PeError> {
    let coff = coff(start)?;
    u16_at(start, coff)
}

fn coff(file: &[u8]) -> Result<usize, PeError> {
    if file.get(..2) != Some(b"MZ") {
        return Err(PeError::NoHeader);
    }
    let at = u32_at(file, POINTER)? as usize;
    match file.get(at..at.saturating_add(4)) {
        Some(signature) if signature == SIGNATURE => Ok(at + 4),
        _ => Err(PeError::NoHeader),
    }
}

impl Headers {
    /// Reads the headers of a whole program.
    pub(super) fn parse(file: &[u8]) -> Result<Self, PeError> {
        let coff = coff(file)?;
        let optional = coff + COFF_HEADER;
        if u16_at(file, optional)? != PE32_PLUS {
            return Err(PeError::NoHeader);
        }
        let sections = u16_at(file, coff + 2)?;
        let table = optional + usize::from(u16_at(file, coff + 16)?);
        let end = table + usize::from(sections) * SECTION_HEADER;
        let alignment = (u32_at(file, optional + 32)?, u32_at(file, optional + 36)?);
        if !alignment.0.is_power_of_two() || !alignment.1.is_power_of_two() {
            return Err(PeError::Damaged);
        }
        let mut headers = Self {
            machine: u16_at(file, coff)?,
            coff,
            optional,
            alignment,
            free: end..u32_at(file, optional + 60)? as usize,
            sections,
            memory_end: 0,
            file_end: 0,
        };
        for entry in (table..end).step_by(SECTION_HEADER) {
            let [memory_len, memory, len, start] = [8, 12, 16, 20]
                .map(|field| u32_at(file, entry + field))
                .map(|field| field.unwrap_or(u32::MAX));
            let ends = (memory.checked_add(memory_len), start.checked_add(len));
            let (Some(memory_end), Some(file_end)) = ends else { return Err(PeError::Damaged) };
            headers.memory_end = headers.memory_end.max(memory_end);
            headers.file_end = headers.file_end.max(file_end);
            if start > 0 {
                headers.free.end = headers.free.end.min(start as usize);
            }
        }
        if headers.file_end as usize > file.len() || headers.free.end > file.len() {
            return Err(PeError::Damaged);
        }
        Ok(headers)
    }
}

fn u16_at(file: &[u8], at: usize) -> Result<u16, PeError> {
    let bytes = file.get(at..at.saturating_add(2)).ok_or(PeError::Damaged)?;
    Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn u32_at(file: &[u8], at: usize) -> Result<u32, PeError> {
    let bytes = file.get(at..at.saturating_add(4)).ok_or(PeError::Damaged)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// A program without code: room for `room` more sections.
#[cfg(test)]
pub(in crate::output) fn program_for_tests(machine: u16, room: usize) -> Vec<u8> {
    let table = 0x40 + 4 + COFF_HEADER + 240;
    let headers = (table + SECTION_HEADER * (1 + room)).next_multiple_of(512);
    // Filled, so that there is not more room than asked for.
    let data = table + SECTION_HEADER * (1 + room);
    let mut file = vec![0; headers + 512];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(POINTER, &0x40_u32.to_le_bytes());
    put(0x40, SIGNATURE);
    put(0x44, &machine.to_le_bytes());
    put(0x46, &1_u16.to_le_bytes());
    put(0x44 + 8, &0xFFFF_u32.to_le_bytes());
    put(0x44 + 16, &240_u16.to_le_bytes());
    put(0x58, &PE32_PLUS.to_le_bytes());
    put(0x58 + 32, &4096_u32.to_le_bytes());
    put(0x58 + 36, &512_u32.to_le_bytes());
    put(0x58 + 56, &0x3000_u32.to_le_bytes());
    put(0x58 + 60, &(data as u32).to_le_bytes());
    put(table, b".text\0\0\0");
    for (field, value) in [(8, 0x123_u32), (12, 0x2000), (16, 512), (20, headers as u32)] {
        put(table + field, &value.to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_headers_of_a_program_are_found() {
        let file = program_for_tests(0x8664, 2);
        let headers = Headers::parse(&file).unwrap();
        assert_eq!((headers.machine, headers.sections, headers.alignment), (0x8664, 1, (4096, 512)));
        assert_eq!(headers.free.len(), 2 * SECTION_HEADER);
        assert_eq!((headers.memory_end, headers.file_end as usize), (0x2123, file.len()));
        assert_eq!(machine(&file[..0x60]), Ok(0x8664));
    }

    #[test]
    fn what_is_no_program_is_an_error() {
        let file = program_for_tests(0x8664, 2);
        assert_eq!(machine(b"\x7fELF"), Err(PeError::NoHeader));
        assert_eq!(Headers::parse(&file[..file.len() - 1]), Err(PeError::Damaged));
        assert_eq!(Headers::parse(&[]), Err(PeError::NoHeader));
    }

    proptest! {
        #[test]
        fn damaged_programs_are_errors_or_programs_and_never_panics(
            at in 0_usize..1024, byte in any::<u8>(), len in 0_usize..1024,
        ) {
            let mut file = program_for_tests(0x8664, 2);
            let at = at % file.len();
            file[at] = byte;
            file.truncate(file.len().min(len.max(64)));
            drop(Headers::parse(&file));
        }
    }
}
