//! squashfs. It has neither label nor UUID.

use super::Content;
use super::field::{is_at, le16};

/// Reads the superblock.
pub fn read(head: &[u8]) -> Option<Content> {
    (is_at(head, 0, b"hsqs") && le16(head, 28)? == 4).then_some(Content {
        kind: "squashfs",
        label: None,
        uuid: None,
    })
}
