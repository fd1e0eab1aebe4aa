//! What a device holds, decided from what `blkid` said and from the bytes at both ends.

use std::fmt;

use crate::inventory::Disk;
use crate::table::{self, Layout};

/// What `blkid` recognised on one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// `TYPE`: ext4, vfat, LVM2_member and so on.
    pub kind: Option<String>,
    /// `USAGE`: filesystem, raid, crypto or other.
    pub usage: Option<String>,
    /// `LABEL` of the file system.
    pub label: Option<String>,
    /// `UUID` of the file system.
    pub uuid: Option<String>,
    /// `PTTYPE`: the kind of partition table on the device.
    pub table: Option<String>,
    /// `PART_ENTRY_TYPE`: the type that the device has in the table it is listed in.
    pub entry_type: Option<String>,
}

/// What `blkid` found on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing that it knows.
    Nothing,
    /// One thing.
    One(Signature),
    /// Things that contradict each other, as two file systems in the same place.
    Several,
}

/// What a whole disk holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing: no signature, and both ends are zero.
    Blank,
    /// A partition table of ours that a power cut kept from being finished.
    Unfinished,
    /// Something, which is not to be touched.
    Holds(Held),
}

/// What is on a disk that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A partition table, with what each partition that the kernel knows has in it.
    Table {
        /// Its kind.
        kind: String,
        /// Name and content of each partition.
        partitions: Vec<(String, Found)>,
    },
    /// Something over the whole disk.
    Signature(Signature),
    /// Things that contradict each other.
    Several,
    /// Bytes that mean nothing to us.
    Bytes,
}

impl Signature {
    /// Whether it is a file system that Linux keeps data in.
    pub fn is_linux_fs(&self) -> bool {
        matches!(self.kind.as_deref(), Some("ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "f2fs" | "bcachefs"))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.kind, &self.table) {
            (Some(kind), _) => f.write_str(kind)?,
            (None, Some(table)) => write!(f, "a {table} partition table")?,
            (None, None) => f.write_str("something unknown")?,
        }
        match &self.label {
            Some(label) => write!(f, " labelled {label}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing known"),
            Self::One(signature) => signature.fmt(f),
            Self::Several => f.write_str("several contradicting signatures"),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { kind, partitions } => {
                write!(f, "a {kind} partition table")?;
                for (i, (name, found)) in partitions.iter().enumerate() {
                    write!(f, "{} {name} ({found})", if i == 0 { " with" } else { "," })?;
                }
                Ok(())
            }
            Self::Signature(signature) => signature.fmt(f),
            Self::Several => Found::Several.fmt(f),
            Self::Bytes => f.write_str("data of an unknown kind"),
        }
    }
}

impl Held {
    /// The signatures on the disk and in its partitions, with the name of the partition.
    pub fn signatures(&self) -> Vec<(Option<&str>, &Signature)> {
        match self {
            Self::Signature(signature) => vec![(None, signature)],
            Self::Several | Self::Bytes => Vec::new(),
            Self::Table { partitions, .. } => partitions
                .iter()
                .filter_map(|(name, found)| match found {
                    Found::One(signature) => Some((Some(name.as_str()), signature)),
                    Found::Nothing | Found::Several => None,
                })
                .collect(),
        }
    }

    /// Whether somebody has formatted the disk for Linux.
    pub fn is_formatted(&self) -> bool {
        self.signatures().iter().any(|(_, signature)| signature.is_linux_fs())
    }
}

/// Decides what `disk` holds.
///
/// `first` and `last` are its first and last MiB (shorter on a smaller disk), `found` is about the disk
/// itself, `partitions` about each of its partitions.
pub fn decide(
    disk: &Disk,
    first: &[u8],
    last: &[u8],
    found: Found,
    partitions: Vec<(String, Found)>,
) -> Content {
    let zero = first.iter().chain(last).all(|b| *b == 0);
    let layout = Layout::of(disk.size, disk.sector).ok();
    let table = match found {
        Found::One(Signature { table: Some(kind), kind: None, .. }) => Some(kind),
        Found::One(signature) => return Content::Holds(Held::Signature(signature)),
        Found::Several => return Content::Holds(Held::Several),
        Found::Nothing if zero && layout.is_some_and(|layout| is_only_shown(disk, &layout)) => {
            return Content::Unfinished;
        }
        // The kernel may know of partitions by a table that blkid does not know.
        Found::Nothing if !partitions.is_empty() => Some("unknown".to_owned()),
        Found::Nothing => None,
    };
    match (table, layout) {
        (Some(kind), _) => Content::Holds(Held::Table { kind, partitions }),
        (None, _) if zero => Content::Blank,
        (None, Some(layout)) if table::is_unfinished(first, last, &layout) => Content::Unfinished,
        (None, _) => Content::Holds(Held::Bytes),
    }
}

/// Whether the disk's one partition is where `layout` puts it. On a disk without a table that is one which a
/// run of ours that was killed had shown to the kernel.
fn is_only_shown(disk: &Disk, layout: &Layout) -> bool {
    match disk.partitions.as_slice() {
        [only] => (only.start, only.size) == (layout.start_bytes(), layout.length_bytes()),
        _ => false,
    }
}

/// Reads what `blkid -p -o export` prints: `KEY=value` lines, unusual characters with a backslash before
/// them.
pub fn parse_export(text: &str) -> Option<Signature> {
    let mut signature = Signature::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let place = match key {
            "TYPE" => &mut signature.kind,
            "USAGE" => &mut signature.usage,
            "LABEL" => &mut signature.label,
            "UUID" => &mut signature.uuid,
            "PTTYPE" => &mut signature.table,
            "PART_ENTRY_TYPE" => &mut signature.entry_type,
            _ => continue,
        };
        *place = Some(unescape(value));
    }
    let anything = signature.kind.is_some() || signature.table.is_some() || signature.entry_type.is_some();
    anything.then_some(signature)
}

fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut escaped = false;
    for c in value.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Partition;
    use crate::table::{EDGE, Identity, TableKind};
    use lk_command::size::MIB;

    fn disk() -> Disk {
        Disk {
            name: "vdb".into(),
            size: 64 * MIB,
            sector: 512,
            removable: false,
            read_only: false,
            hidden: false,
            holders: vec![],
            partitions: vec![],
        }
    }

    fn fs(kind: &str, label: &str) -> Found {
        Found::One(Signature { kind: Some(kind.into()), label: Some(label.into()), ..Signature::default() })
    }

    fn table(kind: &str) -> Found {
        Found::One(Signature { table: Some(kind.into()), ..Signature::default() })
    }

    #[test]
    fn only_a_disk_with_no_signature_and_zero_ends_is_blank() {
        let zero = vec![0; EDGE as usize];
        let mut one = zero.clone();
        one[EDGE as usize - 1] = 1;
        let of =
            |first: &[u8], last: &[u8], found, partitions| decide(&disk(), first, last, found, partitions);
        assert_eq!(of(&zero, &zero, Found::Nothing, vec![]), Content::Blank);
        assert_eq!(of(&one, &zero, Found::Nothing, vec![]), Content::Holds(Held::Bytes));
        assert_eq!(of(&zero, &one, Found::Nothing, vec![]), Content::Holds(Held::Bytes));
        assert_eq!(of(&zero, &zero, Found::Several, vec![]), Content::Holds(Held::Several));
        for (found, partitions) in [
            (table("dos"), vec![]),
            (fs("ntfs", "C"), vec![]),
            (fs("LVM2_member", ""), vec![]),
            (Found::Nothing, vec![("vdb1".to_owned(), Found::Nothing)]),
        ] {
            let content = of(&zero, &zero, found.clone(), partitions);
            assert!(matches!(content, Content::Holds(_)), "{found:?}: {content:?}");
        }
    }

    #[test]
    fn our_own_unfinished_table_is_not_somebodys_data() {
        let disk = disk();
        let layout = Layout::of(disk.size, disk.sector).unwrap();
        let identity = Identity::from_random([9; 32]);
        let copy = &table::writes(TableKind::Gpt, &layout, &identity).unwrap()[..2];
        let (mut last, first) = (vec![0; EDGE as usize], vec![0; EDGE as usize]);
        for write in copy {
            let at = (write.offset - (disk.size - EDGE)) as usize;
            last[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
        }
        assert_eq!(decide(&disk, &first, &last, Found::Nothing, vec![]), Content::Unfinished);
    }

    #[test]
    fn a_partition_that_a_killed_run_had_shown_to_the_kernel_is_not_somebodys_data() {
        let zero = vec![0; EDGE as usize];
        let with = |start, size| {
            let mut disk = disk();
            disk.partitions =
                vec![Partition { name: "vdb1".into(), number: 1, start, size, holders: vec![] }];
            let ext4 = vec![("vdb1".to_owned(), fs("ext4", "half made"))];
            decide(&disk, &zero, &zero, Found::Nothing, ext4)
        };
        assert_eq!(with(MIB, 62 * MIB), Content::Unfinished);
        assert!(matches!(with(MIB, 61 * MIB), Content::Holds(_)));
        assert!(matches!(with(2 * MIB, 61 * MIB), Content::Holds(_)));
    }

    #[test]
    fn what_is_found_is_described_in_words() {
        let held = Held::Table {
            kind: "gpt".into(),
            partitions: vec![("vda1".into(), fs("vfat", "ESP")), ("vda2".into(), Found::Nothing)],
        };
        assert_eq!(
            held.to_string(),
            "a gpt partition table with vda1 (vfat labelled ESP), vda2 (nothing known)"
        );
        assert!(!held.is_formatted());
        assert!(
            Held::Table { kind: "dos".into(), partitions: vec![("vda1".into(), fs("ext4", "x"))] }
                .is_formatted()
        );
    }

    #[test]
    fn blkids_export_format_is_read() {
        let text = "DEVNAME=/dev/loop0\nLABEL=my\\ \\\\data\nUUID=fe96\nBLOCK_SIZE=1024\nTYPE=ext4\nUSAGE=filesystem\n\
                    PART_ENTRY_TYPE=0x83\n";
        let signature = parse_export(text).unwrap();
        assert_eq!(
            signature,
            Signature {
                kind: Some("ext4".into()),
                usage: Some("filesystem".into()),
                label: Some("my \\data".into()),
                uuid: Some("fe96".into()),
                table: None,
                entry_type: Some("0x83".into()),
            }
        );
        assert_eq!(parse_export("DEVNAME=/dev/loop0\n"), None);
        assert_eq!(parse_export(""), None);
    }
}
