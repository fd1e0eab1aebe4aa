//! Swap space.

use super::Content;
use super::field::{is_at, le32, text, uuid};

/// Page sizes of the machines that may have made it.
const PAGES: [usize; 4] = [4096, 8192, 16384, 65536];

/// Reads the header, which the end of the first page gives away.
pub fn read(head: &[u8]) -> Option<Content> {
    let signed = PAGES.iter().any(|page| is_at(head, page - 10, b"SWAPSPACE2"));
    (signed && le32(head, 1024)? == 1).then(|| Content {
        kind: "swap",
        label: text(head, 1052, 16),
        uuid: uuid(head, 1036),
    })
}
