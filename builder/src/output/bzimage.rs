//! What a boot loader must know about a Linux x86 kernel file.
//!
//! Source: the kernel's `Documentation/arch/x86/boot.rst`, "The Real-Mode Kernel Header".

use thiserror::Error;

/// How much of the file [`Header::parse`] needs.
pub const HEADER_LEN: usize = 0x268;

const BOOT_FLAG: usize = 0x1FE;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const LOADFLAGS: usize = 0x211;
const CMDLINE_SIZE: usize = 0x238;

const LOADED_HIGH: u8 = 1;
/// Protocol 2.06 brought `cmdline_size`; Linux 2.6.22 has it.
const OLDEST: u16 = 0x0206;

/// The parts of the set-up header that decide whether and how a kernel can be booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Boot protocol version: 0x020F for 2.15.
    pub version: u16,
    /// Longest command line in bytes, without the NUL behind it.
    pub cmdline_size: u32,
}

/// Why a kernel cannot be booted by a BIOS boot loader.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BzImageError {
    /// The set-up header is not there.
    #[error("the kernel is not an x86 bzImage: it has no set-up header")]
    NoHeader,
    /// An old protocol, or a kernel that loads low.
    #[error(
        "the kernel speaks boot protocol {0:#06x}: BIOS boot needs a bzImage of 0x0206 (Linux 2.6.22) or later"
    )]
    TooOld(u16),
}

impl Header {
    /// Reads the header from the first [`HEADER_LEN`] bytes of a kernel file.
    ///
    /// # Errors
    /// When these are not the first bytes of a bzImage.
    pub fn parse(start: &[u8]) -> Result<Self, BzImageError> {
        if start.len() < HEADER_LEN || start[BOOT_FLAG..BOOT_FLAG + 2] != [0x55, 0xAA] {
            return Err(BzImageError::NoHeader);
        }
        if &start[MAGIC..MAGIC + 4] != b"HdrS" {
            return Err(BzImageError::NoHeader);
        }
        let version = u16::from_le_bytes([start[VERSION], start[VERSION + 1]]);
        if version < OLDEST || start[LOADFLAGS] & LOADED_HIGH == 0 {
            return Err(BzImageError::TooOld(version));
        }
        let size = &start[CMDLINE_SIZE..CMDLINE_SIZE + 4];
        Ok(Self { version, cmdline_size: u32::from_le_bytes([size[0], size[1], size[2], size[3]]) })
    }
}

/// The start of a file that passes for a kernel, for tests of disk writers.
#[cfg(test)]
pub fn header_for_tests() -> Vec<u8> {
    let mut start = vec![0; HEADER_LEN];
    start[BOOT_FLAG..BOOT_FLAG + 2].copy_from_slice(&[0x55, 0xAA]);
    start[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
    start[VERSION..VERSION + 2].copy_from_slice(&0x020F_u16.to_le_bytes());
    start[LOADFLAGS] = LOADED_HIGH;
    start[CMDLINE_SIZE..CMDLINE_SIZE + 4].copy_from_slice(&2047_u32.to_le_bytes());
    // Firmware takes it for a program of its own.
    start[..2].copy_from_slice(b"MZ");
    start[0x3C] = 0x40;
    start[0x40..0x46].copy_from_slice(b"PE\0\0\x64\x86");
    start
}

/// A file that passes for a kernel as a whole: in it is an ELF file, packed.
#[cfg(test)]
pub fn kernel_for_tests() -> Vec<u8> {
    use std::io::Write;
    let mut payload = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    payload.write_all(b"\x7fELF and so on").unwrap();
    let payload = payload.finish().unwrap();
    let mut kernel = header_for_tests();
    kernel[0x1F1] = 1;
    kernel[0x24C..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    kernel.resize(1024, 0);
    kernel.extend(payload);
    kernel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bzimage_tells_its_protocol_and_the_longest_command_line() {
        assert_eq!(Header::parse(&header_for_tests()), Ok(Header { version: 0x020F, cmdline_size: 2047 }));
    }

    #[test]
    fn what_is_no_bzimage_is_refused() {
        let with = |at: usize, byte: u8| {
            let mut start = header_for_tests();
            start[at] = byte;
            Header::parse(&start)
        };
        assert_eq!(Header::parse(b"\x7fELF"), Err(BzImageError::NoHeader));
        assert_eq!(with(BOOT_FLAG, 0), Err(BzImageError::NoHeader));
        assert_eq!(with(MAGIC, 0), Err(BzImageError::NoHeader));
        assert_eq!(with(VERSION, 5), Err(BzImageError::TooOld(0x0205)));
        assert_eq!(with(LOADFLAGS, 0), Err(BzImageError::TooOld(0x020F)));
    }
}
