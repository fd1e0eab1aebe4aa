//! Numbers in the headers of file systems and tables.

use std::io;

use super::damaged;

fn bytes<const N: usize>(from: &[u8], at: usize) -> io::Result<[u8; N]> {
    let field = at.checked_add(N).and_then(|end| from.get(at..end)).and_then(|bytes| bytes.try_into().ok());
    field.ok_or_else(|| damaged("a header ends too early"))
}

/// 16 bits, little-endian.
pub(super) fn le16(from: &[u8], at: usize) -> io::Result<u16> {
    bytes(from, at).map(u16::from_le_bytes)
}

/// 32 bits, little-endian.
pub(super) fn le32(from: &[u8], at: usize) -> io::Result<u32> {
    bytes(from, at).map(u32::from_le_bytes)
}

/// 64 bits, little-endian.
pub(super) fn le64(from: &[u8], at: usize) -> io::Result<u64> {
    bytes(from, at).map(u64::from_le_bytes)
}

/// 32 bits, big-endian.
pub(super) fn be32(from: &[u8], at: usize) -> io::Result<u32> {
    bytes(from, at).map(u32::from_be_bytes)
}

/// 64 bits, big-endian.
pub(super) fn be64(from: &[u8], at: usize) -> io::Result<u64> {
    bytes(from, at).map(u64::from_be_bytes)
}

/// So many bytes.
pub(super) fn part(from: &[u8], at: usize, len: usize) -> io::Result<&[u8]> {
    let part = at.checked_add(len).and_then(|end| from.get(at..end));
    part.ok_or_else(|| damaged("a header ends too early"))
}

/// Major and minor number of a device, as Linux packs them into 32 bits.
pub(super) fn device(number: u32) -> (u32, u32) {
    (number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xF_FF00)
}
