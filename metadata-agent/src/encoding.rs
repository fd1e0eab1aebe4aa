//! Base64, as clouds wrap what is not text.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// RFC 4648, 4; the padding is often lost on the way.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes that `text` stands for, at most `limit`; white space anywhere in it stands for nothing.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub fn base64(text: &[u8], limit: usize) -> Result<Vec<u8>, &'static str> {
    let text: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    if text.len() / 4 * 3 > limit + 3 {
        return Err("is too large");
    }
    let bytes = ENGINE.decode(text).map_err(|_| "is not base64")?;
    if bytes.len() > limit { Err("is too large") } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_lost_padding_do_not_matter() {
        for text in ["aGVsbG8=", "aGVs\n bG8=\r\n", "aGVsbG8"] {
            assert_eq!(base64(text.as_bytes(), 5).unwrap(), b"hello", "{text}");
        }
        assert_eq!(base64(b"", 5).unwrap(), b"");
        assert_eq!(base64(b"a*b=", 5), Err("is not base64"));
        assert_eq!(base64(b"aGVsbG8=", 4), Err("is too large"));
        assert_eq!(base64(&[b'A'; 4000], 100), Err("is too large"));
    }
}
