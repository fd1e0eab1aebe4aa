//! XFS.

use super::Content;
use super::field::{be16, be32, is_at, text, uuid};

/// Reads the superblock.
pub fn read(head: &[u8]) -> Option<Content> {
    let (block, sector) = (be32(head, 4)?, be16(head, 102)?);
    let plausible = (512..=65536).contains(&block)
        && block.is_power_of_two()
        && (512..=32768).contains(&sector)
        && sector.is_power_of_two();
    (is_at(head, 0, b"XFSB") && plausible).then(|| Content {
        kind: "xfs",
        label: text(head, 108, 12),
        uuid: uuid(head, 32),
    })
}
