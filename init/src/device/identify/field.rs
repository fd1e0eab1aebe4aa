//! Fields of a superblock: numbers, texts and UUIDs at fixed offsets. What is not there is `None`.

use std::fmt::Write;

/// A 16-bit number, little-endian.
pub fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(chunk(bytes, at)?))
}

/// A 32-bit number, little-endian.
pub fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(chunk(bytes, at)?))
}

/// A 64-bit number, little-endian.
pub fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(chunk(bytes, at)?))
}

/// A 16-bit number, big-endian.
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(chunk(bytes, at)?))
}

/// A 32-bit number, big-endian.
pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(chunk(bytes, at)?))
}

/// Whether these bytes are there.
pub fn is_at(bytes: &[u8], at: usize, wanted: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(wanted))
}

/// A text that ends at the first NUL or with its field, without spaces at the end; `None` when nothing is left.
pub fn text(bytes: &[u8], at: usize, length: usize) -> Option<String> {
    let field = bytes.get(at..)?.get(..length)?;
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
    let text = String::from_utf8_lossy(field.get(..end)?);
    Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())
}

/// A UUID of 16 bytes, in text (RFC 9562); `None` when all are zero.
pub fn uuid(bytes: &[u8], at: usize) -> Option<String> {
    let raw: [u8; 16] = chunk(bytes, at)?;
    (raw != [0; 16]).then(|| uuid_text(&raw))
}

/// 16 bytes as a UUID in text.
pub fn uuid_text(raw: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in raw.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
