//! gzip (RFC 1952): how people fit more into the little that a cloud takes.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{Form, Gathering, MAX_UNPACKED, Why};

pub(super) const FORM: Form = Form { fits: |bytes| bytes.starts_with(&[0x1f, 0x8b]), read };

/// More than this many bytes from one is a bomb and no text.
const MAX_RATIO: usize = 200;
/// Whatever the ratio, in bytes: a few lines repeated are no bomb.
const ALWAYS_ALLOWED: usize = 64 * 1024;

fn read(bytes: &[u8], gathering: &mut Gathering) {
    match unpack(bytes).and_then(|inner| gathering.unpacked(inner.len()).map(|()| inner)) {
        Ok(inner) if inner.is_empty() => {}
        Ok(inner) => gathering.read(&inner),
        Err(why) => gathering.refuse(&[], why),
    }
}

/// What is in a gzip stream.
pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Why> {
    let limit = bytes.len().saturating_mul(MAX_RATIO).clamp(ALWAYS_ALLOWED, MAX_UNPACKED);
    let mut inner = Vec::new();
    GzDecoder::new(bytes).take(limit as u64 + 1).read_to_end(&mut inner).map_err(|_| Why::Gzip)?;
    if inner.len() > limit { Err(Why::TooLarge) } else { Ok(inner) }
}
