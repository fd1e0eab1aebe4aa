//! Where a response's body ends, as its header fields say (RFC 9112, 6).

use super::ResponseError;
use super::syntax::parse_number;

/// What the header fields say about the body.
#[derive(Debug, Default)]
pub struct Framing {
    length: Option<u64>,
    chunked: bool,
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// It has this many bytes.
    Known(u64),
    /// Each of its pieces says how long it is.
    Chunked,
    /// It ends when the peer closes.
    ToEnd,
}

impl Framing {
    /// Takes in a header field, its name in lower case.
    pub fn apply(&mut self, name: &str, value: &[u8]) -> Result<(), ResponseError> {
        match name {
            "content-length" => {
                let length = parse_number(value, 10).ok_or(ResponseError::BadLength)?;
                if self.length.replace(length).is_some_and(|earlier| earlier != length) {
                    return Err(ResponseError::BadLength);
                }
            }
            "transfer-encoding" => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(ResponseError::UnsupportedCoding);
                }
                self.chunked = true;
            }
            "content-encoding" if !value.eq_ignore_ascii_case(b"identity") => {
                return Err(ResponseError::UnsupportedCoding);
            }
            _ => {}
        }
        Ok(())
    }

    /// What all fields together say, for a body of at most `limit` bytes.
    pub fn body(&self, limit: usize) -> Result<Length, ResponseError> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(ResponseError::BadLength),
            (true, None) => Ok(Length::Chunked),
            (false, Some(size)) if size > limit as u64 => {
                Err(ResponseError::BodyTooLarge { declared: Some(size), limit })
            }
            (false, Some(size)) => Ok(Length::Known(size)),
            (false, None) => Ok(Length::ToEnd),
        }
    }
}
