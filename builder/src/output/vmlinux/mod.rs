//! The kernel inside a kernel file, for machines whose loader unpacks nothing: `vmlinux` of x86, `Image` of arm64.
//!
//! | file | what is in it | source |
//! |---|---|---|
//! | bzImage | a packed ELF file | kernel, Documentation/arch/x86/boot.rst, `payload_offset` |
//! | EFI zboot image | a packed `Image` | kernel, drivers/firmware/efi/libstub/zboot-header.S |
//! | `Image.gz` and the like | a packed `Image` | |
//! | `vmlinux`, `Image` | itself | kernel, Documentation/arch/arm64/booting.rst |
//!
//! Packed is with gzip, xz, zstd or lz4 (`lz4.rs`).

pub(crate) mod lz4;

use std::io::{self, BufRead, BufReader, Read, Write};

use thiserror::Error;

use crate::tree::Content;

/// How much of a file is looked at to find out what it is, in bytes.
const LOOKED_AT: u64 = 1024;
/// The largest kernel, in bytes; a distribution's has 60 MiB.
const LARGEST: u64 = 512 << 20;
/// Memory for xz's dictionary, in KiB; the kernel's has 32 MiB.
const XZ_MEMORY: u32 = 256 << 10;

/// Why a kernel cannot be unpacked.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// It is none of those that are known.
    #[error(
        "the kernel is neither a bzImage nor an EFI zboot image, an Image, a vmlinux or one of these packed"
    )]
    Unknown,
    /// The boot protocol tells too little.
    #[error(
        "the kernel speaks boot protocol {0:#06x}, which does not say where its payload is: 0x0208 (Linux 2.6.26) does"
    )]
    TooOld(u16),
    /// The header leads out of the file.
    #[error(
        "the kernel's header says that its payload is at byte {offset} and has {len} bytes, and the file has {file}"
    )]
    Outside {
        /// Where it says that the payload is.
        offset: u64,
        /// And how long.
        len: u64,
        /// The length of the file.
        file: u64,
    },
    /// Packed with something else.
    #[error(
        "the kernel's payload begins with {0:02x?}, which is none of gzip, xz, zstd and lz4: build the kernel with one of these"
    )]
    Packing([u8; 4]),
    /// It grows and grows.
    #[error("the kernel has more than 512 MiB when it is unpacked")]
    TooLarge,
    /// What comes out is no kernel.
    #[error("what is packed in the kernel is no ELF file and no Image")]
    NoKernel,
    /// It cannot be read or unpacked.
    #[error("cannot unpack the kernel")]
    Read(#[source] io::Error),
    /// It cannot be written.
    #[error("cannot write the unpacked kernel")]
    Write(#[source] io::Error),
}

/// Writes the kernel that is in `file`.
///
/// # Errors
/// When it is packed in an unknown way, damaged, or absurdly large.
pub fn unpack(file: &Content, out: &mut dyn Write) -> Result<(), UnpackError> {
    let mut start = Vec::new();
    file.reader().take(LOOKED_AT).read_to_end(&mut start).map_err(UnpackError::Read)?;
    let payload = payload(&start, file.len())?;
    let mut reader = file.reader();
    io::copy(&mut reader.by_ref().take(payload.offset), &mut io::sink()).map_err(UnpackError::Read)?;
    copy(unpacked(reader.take(payload.len))?, out)
}

/// All of it in memory.
///
/// # Errors
/// As [`unpack`].
pub fn unpacked_content(file: &Content) -> Result<Content, UnpackError> {
    let mut bytes = Vec::new();
    unpack(file, &mut bytes)?;
    Ok(bytes.into())
}

#[derive(Debug, PartialEq, Eq)]
struct Payload {
    offset: u64,
    len: u64,
}

/// Where in a file of `len` bytes that begins with `start` the kernel is, packed or not.
fn payload(start: &[u8], len: u64) -> Result<Payload, UnpackError> {
    let inside = |offset: u64, size: u64| match offset.checked_add(size) {
        Some(end) if end <= len => Ok(Payload { offset, len: size }),
        _ => Err(UnpackError::Outside { offset, len: size, file: len }),
    };
    if has(start, 0x202, b"HdrS") {
        let version = number::<2>(start, 0x206) as u16;
        if version < 0x0208 {
            return Err(UnpackError::TooOld(version));
        }
        // 0 stands for 4 since there were other boot loaders than the kernel's own.
        let sectors = match number::<1>(start, 0x1F1) {
            0 => 4,
            sectors => sectors,
        };
        return inside((sectors + 1) * 512 + number::<4>(start, 0x248), number::<4>(start, 0x24C));
    }
    if has(start, 0, b"MZ") && has(start, 4, b"zimg") {
        return inside(number::<4>(start, 8), number::<4>(start, 12));
    }
    if is_kernel(start) || Packing::of(start).is_some() {
        return inside(0, len);
    }
    Err(UnpackError::Unknown)
}

fn is_kernel(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF") || is_image(start)
}

/// Whether it begins as arm64's `Image` does (Documentation/arch/arm64/booting.rst).
#[must_use]
pub fn is_image(start: &[u8]) -> bool {
    has(start, 56, b"ARM\x64")
}

fn has(bytes: &[u8], at: usize, wanted: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(wanted))
}

/// A little-endian number of `N` bytes; what is not there is 0.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + N).unwrap_or_default();
    field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// How a payload is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Xz,
    Zstd,
    Lz4,
}

impl Packing {
    fn of(start: &[u8]) -> Option<Self> {
        const MAGICS: [(&[u8], Packing); 4] = [
            (&[0x1F, 0x8B, 8], Packing::Gzip),
            (&[0xFD, b'7', b'z', b'X', b'Z', 0], Packing::Xz),
            (&[0x28, 0xB5, 0x2F, 0xFD], Packing::Zstd),
            (&lz4::MAGIC, Packing::Lz4),
        ];
        MAGICS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, packing)| *packing)
    }
}

/// The kernel in a payload. What follows it, such as its unpacked length, is not read.
fn unpacked<'r>(payload: impl Read + 'r) -> Result<Box<dyn Read + 'r>, UnpackError> {
    let mut payload = BufReader::with_capacity(1 << 16, payload);
    let start = payload.fill_buf().map_err(UnpackError::Read)?;
    if is_kernel(start) {
        return Ok(Box::new(payload));
    }
    let Some(packing) = Packing::of(start) else {
        return Err(UnpackError::Packing(std::array::from_fn(|at| start.get(at).copied().unwrap_or(0))));
    };
    Ok(match packing {
        Packing::Gzip => Box::new(flate2::bufread::GzDecoder::new(payload)),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(payload, false, XZ_MEMORY)),
        Packing::Zstd => {
            Box::new(zstd::Decoder::with_buffer(payload).map_err(UnpackError::Read)?.single_frame())
        }
        Packing::Lz4 => Box::new(lz4::Reader::new(payload)),
    })
}

fn copy(kernel: Box<dyn Read + '_>, out: &mut dyn Write) -> Result<(), UnpackError> {
    let mut kernel = BufReader::with_capacity(1 << 18, kernel.take(LARGEST + 1));
    if !is_kernel(kernel.fill_buf().map_err(UnpackError::Read)?) {
        return Err(UnpackError::NoKernel);
    }
    let mut total = 0;
    loop {
        let bytes = kernel.fill_buf().map_err(UnpackError::Read)?;
        let len = bytes.len();
        total += len as u64;
        match len {
            0 => return Ok(()),
            _ if total > LARGEST => return Err(UnpackError::TooLarge),
            _ => out.write_all(bytes).map_err(UnpackError::Write)?,
        }
        kernel.consume(len);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    /// Something that passes for a kernel and can be packed.
    fn vmlinux() -> Vec<u8> {
        let mut kernel = b"\x7fELF".to_vec();
        kernel.extend((0..60_000_u32).flat_map(|n| (n / 7).to_le_bytes()));
        // More than one block of lz4's.
        kernel.resize(9 << 20, 0xA5);
        kernel.extend((0..60_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()));
        kernel
    }

    fn packed(program: &[&str], content: &[u8]) -> Vec<u8> {
        let mut child = Command::new(program[0])
            .args(&program[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("running {}: {error}", program[0]));
        let mut input = child.stdin.take().unwrap();
        let content = content.to_vec();
        let feeding = std::thread::spawn(move || input.write_all(&content).unwrap());
        let out = child.wait_with_output().unwrap();
        feeding.join().unwrap();
        assert!(out.status.success());
        out.stdout
    }

    /// A bzImage around a payload, with what the kernel's build has behind it: the unpacked length.
    fn bzimage(payload: &[u8]) -> Content {
        let mut file = crate::output::bzimage::header_for_tests();
        file[0x1F1] = 3;
        file[0x248..0x24C].copy_from_slice(&100_u32.to_le_bytes());
        file[0x24C..0x250].copy_from_slice(&(payload.len() as u32 + 4).to_le_bytes());
        file.resize(4 * 512 + 100, 0xCC);
        file.extend(payload);
        file.extend((vmlinux().len() as u32).to_le_bytes());
        file.extend([0xCC; 1000]);
        file.into()
    }

    /// The ways in which the kernel's build packs, with its options (scripts/Makefile.lib).
    const PROGRAMS: [&[&str]; 4] = [
        &["gzip", "-n", "-f", "-9"],
        &["xz", "--check=crc32", "--x86", "--lzma2=dict=32MiB"],
        &["zstd", "-q", "-19", "--ultra"],
        &["lz4", "-q", "-l", "-9", "-", "-"],
    ];

    #[test]
    fn a_kernel_that_is_packed_in_any_of_the_kernels_ways_comes_out() {
        let kernel = vmlinux();
        for program in PROGRAMS {
            let payload = packed(program, &kernel);
            assert!(payload.len() < kernel.len() / 2, "{program:?}");
            let mut out = Vec::new();
            unpack(&bzimage(&payload), &mut out).unwrap_or_else(|error| panic!("{program:?}: {error:?}"));
            assert!(out == kernel, "{program:?}");
        }
    }

    #[test]
    fn images_of_arm64_come_out_packed_or_not() {
        let mut image = vec![0; 3000];
        image[56..60].copy_from_slice(b"ARM\x64");
        let gzip = packed(PROGRAMS[0], &image);
        let mut zboot = b"MZ\0\0zimg".to_vec();
        zboot.extend([64_u32, gzip.len() as u32].iter().flat_map(|number| number.to_le_bytes()));
        zboot.resize(64, 0);
        zboot.extend(&gzip);
        for file in [image.clone(), gzip, zboot] {
            let mut out = Vec::new();
            unpack(&file.into(), &mut out).unwrap();
            assert_eq!(out, image);
        }
    }

    #[test]
    fn what_cannot_be_unpacked_says_why() {
        let error = |content: Content| unpack(&content, &mut io::sink()).unwrap_err().to_string();
        assert!(error(b"#!/bin/sh".to_vec().into()).contains("neither a bzImage"));
        assert!(error(bzimage(b"BZh91AY")).contains("[42, 5a, 68, 39]"));
        assert!(error(bzimage(&packed(PROGRAMS[0], b"not a kernel"))).contains("no ELF file"));
        let mut old = bzimage(b"").read_all(1 << 20).unwrap();
        old[0x206] = 7;
        assert!(error(old.clone().into()).contains("0x0207"));
        old[0x206] = 0x0F;
        old[0x24F] = 1;
        assert!(error(old.into()).contains("and the file has"));
        let half = packed(PROGRAMS[0], &vmlinux());
        assert!(error(bzimage(&half[..half.len() / 2])).contains("cannot unpack"));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..2000), kind in 0..5_usize) {
            let magics: [&[u8]; 5] = [&[0x1F, 0x8B, 8], &lz4::MAGIC, b"\xFD7zXZ\0", b"\x28\xB5\x2F\xFD", b"MZ\0\0zimg"];
            bytes.splice(..0, magics[kind].iter().copied());
            // Whatever it says.
            drop(unpack(&bytes.into(), &mut io::sink()));
        }
    }
}
