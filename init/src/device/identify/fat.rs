//! FAT, which has no number of its own to be known by: the boot sector must hold together.

use super::field::{is_at, le16, le32, text};
use super::{Content, Read};

/// Most of a root directory that is searched for the label, in bytes: FAT16's largest, and FAT32's first cluster.
const DIRECTORY: usize = 64 * 1024;
const ENTRY: usize = 32;
/// Attributes of a directory entry that is the label; with the three lower bits too it is a piece of a long name.
const LABEL: u8 = 0x08;
const LONG_NAME: u8 = 0x0f;
const DELETED: u8 = 0xe5;

/// Where the parts of the file system are, in bytes from its start.
struct Layout {
    /// Offset of the fields that FAT32 has elsewhere than its ancestors: serial number, label, type.
    extension: usize,
    root: u64,
    root_length: usize,
}

/// Reads the boot sector, and the root directory for the label.
pub fn read(head: &[u8], read: &mut Read<'_>) -> Option<Content> {
    let layout = layout(head)?;
    let serial = le32(head, layout.extension + 1).filter(|serial| *serial != 0);
    let from_root = label_in(&read(layout.root, layout.root_length));
    Some(Content {
        kind: "vfat",
        label: from_root.or_else(|| text(head, layout.extension + 5, 11).filter(|label| label != "NO NAME")),
        uuid: serial.map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)),
    })
}

/// The parts, if this is a boot sector of FAT.
fn layout(head: &[u8]) -> Option<Layout> {
    let jump = *head.first()?;
    let sector = u64::from(le16(head, 11)?);
    let cluster = u64::from(*head.get(13)?);
    let reserved = u64::from(le16(head, 14)?);
    let tables = u64::from(*head.get(16)?);
    let media = *head.get(21)?;
    let plausible = matches!(jump, 0xeb | 0xe9)
        && [512, 1024, 2048, 4096].contains(&sector)
        && cluster.is_power_of_two()
        && reserved != 0
        && (1..=2).contains(&tables)
        && (media == 0xf0 || media >= 0xf8)
        && is_at(head, 510, &[0x55, 0xaa]);
    if !plausible {
        return None;
    }
    let small_table = u64::from(le16(head, 22)?);
    if small_table == 0 && is_at(head, 82, b"FAT32   ") {
        let table = u64::from(le32(head, 36)?);
        let first = u64::from(le32(head, 44)?).checked_sub(2)?;
        let root = (reserved + tables * table) * sector + first * cluster * sector;
        let root_length = usize::try_from(cluster * sector).ok()?.min(DIRECTORY);
        return Some(Layout { extension: 66, root, root_length });
    }
    let named = [&b"FAT12   "[..], b"FAT16   ", b"FAT     "].iter().any(|name| is_at(head, 54, name));
    (small_table != 0 && named).then_some(())?;
    let root = (reserved + tables * small_table) * sector;
    let root_length = (usize::from(le16(head, 17)?) * ENTRY).min(DIRECTORY);
    Some(Layout { extension: 38, root, root_length })
}

/// The label in a directory.
fn label_in(directory: &[u8]) -> Option<String> {
    directory
        .chunks_exact(ENTRY)
        .take_while(|entry| entry.first() != Some(&0))
        .filter(|entry| entry.first() != Some(&DELETED))
        .find(|entry| entry.get(11).is_some_and(|flags| flags & LABEL != 0 && flags & LONG_NAME != LONG_NAME))
        .and_then(|entry| text(entry, 0, 11))
}
