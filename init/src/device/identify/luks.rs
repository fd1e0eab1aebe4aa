//! LUKS: an encrypted device.

use super::Content;
use super::field::{be16, is_at, text};

/// Reads the header; only version 2 has a label.
pub fn read(head: &[u8]) -> Option<Content> {
    if !is_at(head, 0, b"LUKS\xba\xbe") {
        return None;
    }
    let label = match be16(head, 6)? {
        1 => None,
        2 => text(head, 24, 48),
        _ => return None,
    };
    Some(Content { kind: "crypto_LUKS", label, uuid: text(head, 168, 40) })
}
