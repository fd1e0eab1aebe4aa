//! What a kernel says about itself: which initrds it unpacks.

use std::io::{self, Read};

use crate::image::{Cache, Digest, Hashing, ImageError};
use crate::tree::Content;

use super::bzimage::{HEADER_LEN, Header};

/// Text that only kernels have that unpack zstd (Linux, lib/decompress_unzstd.c).
const ZSTD: &[u8] = b"ZSTD-compressed data is corrupt";
/// Where an x86 kernel says where its compressed part begins, behind the set-up code, and how long that is
/// (Linux, Documentation/arch/x86/boot.rst).
const SETUP_SECTORS: usize = 0x1F1;
const PAYLOAD: usize = 0x248;
const PAYLOAD_LEN: usize = 0x24C;
/// No kernel is larger, unpacked (bytes).
const LIMIT: u64 = 512 << 20;
/// Changes when the same kernel shall get another answer.
const VERSION: &[u8] = b"unpacks zstd 1";

/// Whether this kernel unpacks initrds that zstd compressed. A kernel that cannot be looked into says no.
///
/// # Errors
/// When the cache cannot be read or written, in which the answer is kept.
pub(super) fn unpacks_zstd(kernel: &Content, cache: &Cache) -> Result<bool, ImageError> {
    let key = key(kernel);
    if let Some(answer) = cache.segment(key)? {
        return Ok(answer == b"yes");
    }
    // What cannot be read now will be an error where it is needed.
    let answer = look(kernel).unwrap_or(false);
    cache.store_segment(key, if answer { b"yes" } else { b"no" })?;
    Ok(answer)
}

fn key(kernel: &Content) -> Digest {
    let of_kernel = match kernel {
        Content::Bytes(bytes) => Digest::of(bytes).bytes().to_vec(),
        Content::Stretch { file, offset, len } => {
            [&file.digest().bytes()[..], &offset.to_le_bytes(), &len.to_le_bytes()].concat()
        }
    };
    let mut key = Hashing::new(io::sink());
    // A sink takes everything.
    drop(io::Write::write_all(&mut key, &[VERSION, &of_kernel].concat()));
    key.finish().1
}

fn look(kernel: &Content) -> io::Result<bool> {
    let mut start = Vec::new();
    kernel.reader().take(HEADER_LEN as u64).read_to_end(&mut start)?;
    let mut reader = kernel.reader();
    if Header::parse(&start).is_ok() {
        let number = |at: usize| u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]);
        // Of old, 0 stands for 4.
        let sectors = match start[SETUP_SECTORS] {
            0 => 4,
            sectors => u64::from(sectors),
        };
        let skipped = (sectors + 1) * 512 + u64::from(number(PAYLOAD));
        io::copy(&mut reader.by_ref().take(skipped), &mut io::sink())?;
        return search(&mut unpacked(Box::new(reader.take(number(PAYLOAD_LEN).into())))?);
    }
    search(&mut unpacked(reader)?)
}

/// The kernel proper, where it is compressed in a way that is known here; else as it is.
fn unpacked<'a>(mut reader: Box<dyn Read + 'a>) -> io::Result<Box<dyn Read + 'a>> {
    let mut magic = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut magic)?;
    let is = |known: &[u8]| magic.starts_with(known);
    let (gzip, zstd) = (is(&[0x1F, 0x8B]), is(&[0x28, 0xB5, 0x2F, 0xFD]));
    let whole = io::Cursor::new(magic).chain(reader);
    Ok(match (gzip, zstd) {
        (true, _) => Box::new(flate2::read::GzDecoder::new(whole).take(LIMIT)),
        (_, true) => Box::new(zstd::Decoder::new(whole)?.single_frame().take(LIMIT)),
        _ => Box::new(whole.take(LIMIT)),
    })
}

fn search(reader: &mut dyn Read) -> io::Result<bool> {
    let mut window = Vec::new();
    loop {
        if reader.take(256 << 10).read_to_end(&mut window)? == 0 {
            return Ok(false);
        }
        if memory_has(&window, ZSTD) {
            return Ok(true);
        }
        // The text may lie across two reads.
        window.drain(..window.len().saturating_sub(ZSTD.len()));
    }
}

/// Whether a text is in a stretch of memory; looks for its first byte first, which is fast.
fn memory_has(mut memory: &[u8], text: &[u8]) -> bool {
    while let Some(at) = memory.iter().position(|byte| *byte == text[0]) {
        if memory[at..].starts_with(text) {
            return true;
        }
        memory = &memory[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn kernel(payload: &[u8]) -> Content {
        let mut kernel = super::super::bzimage::header_for_tests();
        kernel.resize(5 * 512 + 100, 0);
        kernel[PAYLOAD..PAYLOAD + 4].copy_from_slice(&100_u32.to_le_bytes());
        kernel[PAYLOAD_LEN..PAYLOAD_LEN + 4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        kernel[SETUP_SECTORS] = 4;
        kernel.extend(payload);
        kernel.into()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_kernel_that_has_the_decompressor_says_so_however_it_is_compressed_itself() {
        let mut with = vec![b'Z'; (256 << 10) - 10];
        with.extend(ZSTD);
        with.extend(vec![0; 1 << 20]);
        let without = vec![b'Z'; 1 << 20];
        for (kernel, expected) in [
            (kernel(&zstd::encode_all(&with[..], 3).unwrap()), true),
            (kernel(&gzip(&with)), true),
            (kernel(&with), true),
            (gzip(&with).into(), true),
            (kernel(&zstd::encode_all(&without[..], 3).unwrap()), false),
            (kernel(&gzip(&without)), false),
            (kernel(&[0x1F, 0x8B, 0, 0]), false),
            (kernel(&[]), false),
        ] {
            assert_eq!(look(&kernel).unwrap_or(false), expected);
        }
        // The set-up code of a kernel that is compressed by zstd has the text as well.
        let Content::Bytes(bytes) = kernel(&gzip(&without)) else { unreachable!() };
        let mut bytes = bytes.to_vec();
        bytes[700..700 + ZSTD.len()].copy_from_slice(ZSTD);
        assert!(!look(&bytes.into()).unwrap());
    }
}
