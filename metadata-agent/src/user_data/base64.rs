//! base64 (RFC 4648) around another form: clouds whose consoles take only text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Form, Gathering, Why};

pub(super) const FORM: Form = Form { fits, read };

/// Shorter text is a word by chance.
const MIN_SIZE: usize = 8;

/// Whether it is base64 of something that is known: any word decodes to something.
fn fits(bytes: &[u8]) -> bool {
    bytes.len() >= MIN_SIZE && decode(bytes).is_ok_and(|inner| super::is_known(&inner))
}

fn read(bytes: &[u8], gathering: &mut Gathering) {
    match decode(bytes).and_then(|inner| gathering.unpacked(inner.len()).map(|()| inner)) {
        Ok(inner) => gathering.read(&inner),
        Err(why) => gathering.refuse(&[], why),
    }
}

/// Decodes base64 with blanks and line ends anywhere in it.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<u8>, Why> {
    let dense: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(dense).map_err(|_| Why::Base64)
}
