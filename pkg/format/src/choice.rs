//! Which disk is formatted, and why the others are not. Pure: what is known of the disks goes in, a decision
//! comes out.

use std::fmt;

use lk_command::size::Bytes;

use crate::content::{Content, Held};
use crate::inventory::Disk;
use crate::probe::Look;

/// Why a disk was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// A kind that is never a data disk.
    Kind(&'static str),
    /// The medium can be taken out.
    Removable,
    /// The kernel refuses writes.
    ReadOnly,
    /// Hidden by the kernel.
    Hidden,
    /// A drive without a medium.
    Empty,
    /// Too small for the file system.
    TooSmall {
        /// Its size in bytes.
        size: u64,
        /// The least that would do.
        least: u64,
    },
    /// Other devices are made from it.
    Held(Vec<String>),
    /// Mounted or otherwise claimed.
    InUse,
    /// It holds something.
    Holds(Held),
    /// It cannot be looked at; the message names it.
    Unreadable(String),
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "is {kind}"),
            Self::Removable => f.write_str("its medium is removable"),
            Self::ReadOnly => f.write_str("is read-only"),
            Self::Hidden => f.write_str("is one path of a multipath disk"),
            Self::Empty => f.write_str("has no medium"),
            Self::TooSmall { size, least } => {
                write!(f, "is too small: {}, and {} are needed", Bytes(*size), Bytes(*least))
            }
            Self::Held(holders) => write!(f, "is part of {}", holders.join(", ")),
            Self::InUse => f.write_str("is in use"),
            Self::Holds(held) => write!(f, "holds {held}"),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

/// What is to be done when no disk was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Format the disk with this place in the list.
    Format(usize),
    /// The label that was asked for is on this device already.
    LabelThere(String),
    /// A disk has been formatted, and none is blank.
    AlreadyFormatted,
    /// There is no data disk, or not yet.
    NoDisk,
}

/// The decision and what was seen on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// What to do.
    pub decision: Decision,
    /// The disks that were passed over, by name, in order.
    pub passed: Vec<(String, Passed)>,
}

/// Decides which of `disks` is formatted: the first blank one, unless `label` is on a file system already.
///
/// `least` is the smallest size in bytes that will do. `look` is asked about disks that could be one, in
/// order.
pub fn survey<E: fmt::Display>(
    disks: &[Disk],
    label: Option<&str>,
    least: u64,
    mut look: impl FnMut(&Disk) -> Result<Look, E>,
) -> Survey {
    let mut passed = Vec::new();
    let mut blank = None;
    let mut formatted = false;
    let mut labelled = None;
    for (i, disk) in disks.iter().enumerate() {
        let reason = match refusal_by_kind(disk) {
            Some(reason) => reason,
            None => match look(disk) {
                Err(e) => Passed::Unreadable(e.to_string()),
                Ok(look) => {
                    if let (Some(label), Content::Holds(held)) = (label, &look.content) {
                        labelled = labelled.or_else(|| labelled_node(disk, held, label));
                    }
                    match by_look(disk, look, least) {
                        None => {
                            blank = blank.or(Some(i));
                            continue;
                        }
                        Some(reason) => reason,
                    }
                }
            },
        };
        formatted |= matches!(&reason, Passed::Holds(held) if held.is_formatted());
        passed.push((disk.name.clone(), reason));
    }
    let decision = match (labelled, blank) {
        (Some(node), _) => Decision::LabelThere(node),
        (None, Some(i)) => Decision::Format(i),
        (None, None) if formatted && label.is_none() => Decision::AlreadyFormatted,
        (None, None) => Decision::NoDisk,
    };
    Survey { decision, passed }
}

/// Why a disk is out of the question whatever it holds.
fn refusal_by_kind(disk: &Disk) -> Option<Passed> {
    match disk.odd_kind() {
        Some(kind) => Some(Passed::Kind(kind)),
        None if disk.hidden => Some(Passed::Hidden),
        None if disk.removable => Some(Passed::Removable),
        None if disk.size == 0 => Some(Passed::Empty),
        None => None,
    }
}

/// Why a disk is not taken, from what it holds and how it is used; `None` for a blank one.
fn by_look(disk: &Disk, look: Look, least: u64) -> Option<Passed> {
    let holders = holders(disk);
    match look.content {
        _ if !holders.is_empty() => Some(Passed::Held(holders)),
        _ if look.in_use => Some(Passed::InUse),
        Content::Holds(held) => Some(Passed::Holds(held)),
        _ if disk.read_only => Some(Passed::ReadOnly),
        _ if disk.size < least => Some(Passed::TooSmall { size: disk.size, least }),
        Content::Blank | Content::Unfinished => None,
    }
}

fn holders(disk: &Disk) -> Vec<String> {
    disk.holders.iter().chain(disk.partitions.iter().flat_map(|p| &p.holders)).cloned().collect()
}

fn labelled_node(disk: &Disk, held: &Held, label: &str) -> Option<String> {
    held.signatures().into_iter().find(|(_, signature)| signature.label.as_deref() == Some(label)).map(
        |(partition, _)| match partition {
            Some(name) => format!("/dev/{name}"),
            None => disk.node(),
        },
    )
}

/// What is to be done with a disk that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Format it.
    Format,
    /// Somebody has formatted it: this is what it holds.
    Leave(Held),
    /// It cannot be formatted.
    Refuse(Passed),
    /// It holds something that only `-force` overwrites.
    NeedsForce(Held),
}

/// Decides about the one disk that was named.
pub fn named(disk: &Disk, look: Look, force: bool, least: u64) -> Named {
    let holders = holders(disk);
    match look.content {
        Content::Holds(held) if !force && held.is_formatted() => Named::Leave(held),
        _ if disk.size == 0 => Named::Refuse(Passed::Empty),
        _ if disk.read_only => Named::Refuse(Passed::ReadOnly),
        _ if !holders.is_empty() => Named::Refuse(Passed::Held(holders)),
        _ if look.in_use => Named::Refuse(Passed::InUse),
        _ if disk.size < least => Named::Refuse(Passed::TooSmall { size: disk.size, least }),
        Content::Holds(held) if !force => Named::NeedsForce(held),
        Content::Blank | Content::Unfinished | Content::Holds(_) => Named::Format,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Found, Signature};
    use crate::inventory::Partition;
    use lk_command::size::MIB;

    const LEAST: u64 = 16 * MIB;

    fn disk(name: &str) -> Disk {
        Disk {
            name: name.into(),
            size: 1 << 30,
            sector: 512,
            removable: false,
            read_only: false,
            hidden: false,
            holders: vec![],
            partitions: vec![],
        }
    }

    fn fs(kind: &str, label: Option<&str>) -> Signature {
        Signature { kind: Some(kind.into()), label: label.map(str::to_owned), ..Signature::default() }
    }

    fn with_partition(name: &str, signature: Signature) -> Content {
        Content::Holds(Held::Table {
            kind: "dos".into(),
            partitions: vec![(name.into(), Found::One(signature))],
        })
    }

    fn idle(content: Content) -> Result<Look, String> {
        Ok(Look { in_use: false, content })
    }

    fn decide(disks: &[(Disk, Result<Look, String>)], label: Option<&str>) -> Survey {
        let all: Vec<Disk> = disks.iter().map(|(d, _)| d.clone()).collect();
        survey(&all, label, LEAST, |d| disks.iter().find(|(o, _)| o == d).unwrap().1.clone())
    }

    #[test]
    fn the_first_blank_disk_is_taken_and_the_boot_disk_is_not() {
        let boot = with_partition("vda1", fs("vfat", Some("ESP")));
        let disks = [
            (disk("vda"), idle(boot)),
            (disk("vdb"), idle(Content::Blank)),
            (disk("vdc"), idle(Content::Blank)),
        ];
        assert_eq!(decide(&disks, None).decision, Decision::Format(1));
        assert_eq!(decide(&disks[..1], None).decision, Decision::NoDisk);
    }

    #[test]
    fn a_disk_whose_partition_table_was_not_finished_is_done_again() {
        assert_eq!(decide(&[(disk("vda"), idle(Content::Unfinished))], None).decision, Decision::Format(0));
    }

    #[test]
    fn disks_that_hold_anything_or_cannot_be_data_disks_are_passed_over_with_a_reason() {
        let mut removable = disk("sda");
        removable.removable = true;
        let mut read_only = disk("sdb");
        read_only.read_only = true;
        let mut empty = disk("sdc");
        empty.size = 0;
        let mut small = disk("sdd");
        small.size = MIB;
        let mut held = disk("sde");
        held.holders = vec!["dm-0".into()];
        let mut half_held = disk("sdf");
        half_held.partitions = vec![Partition {
            name: "sdf1".into(),
            number: 1,
            start: MIB,
            size: MIB,
            holders: vec!["md0".into()],
        }];
        let mut hidden = disk("nvme0c0n1");
        hidden.hidden = true;
        let busy = Ok(Look { in_use: true, content: Content::Blank });
        for (disk, look, reason) in [
            (disk("loop0"), idle(Content::Blank), "a loop device"),
            (disk("zram0"), idle(Content::Blank), "a compressed RAM disk"),
            (removable, idle(Content::Blank), "removable"),
            (read_only, idle(Content::Blank), "read-only"),
            (empty, idle(Content::Blank), "no medium"),
            (small, idle(Content::Blank), "1 MiB, and 16 MiB are needed"),
            (held, idle(Content::Blank), "part of dm-0"),
            (half_held, idle(Content::Blank), "part of md0"),
            (hidden, idle(Content::Blank), "multipath"),
            (disk("vda"), busy, "in use"),
            (disk("vda"), idle(Content::Holds(Held::Bytes)), "data of an unknown kind"),
            (disk("vda"), idle(Content::Holds(Held::Several)), "contradicting"),
            (disk("vda"), idle(Content::Holds(Held::Signature(fs("ntfs", Some("C"))))), "ntfs labelled C"),
            (disk("vda"), Err("/dev/vda: cannot read its first MiB".to_owned()), "first MiB"),
        ] {
            let survey = decide(&[(disk, look)], None);
            assert_eq!(survey.decision, Decision::NoDisk, "{reason}");
            let said = survey.passed[0].1.to_string();
            assert!(said.contains(reason), "{reason}: {said}");
        }
    }

    #[test]
    fn a_disk_that_was_formatted_ends_the_search_and_a_foreign_one_does_not() {
        for (content, decision) in [
            (with_partition("vdb1", fs("ext4", None)), Decision::AlreadyFormatted),
            (Content::Holds(Held::Signature(fs("xfs", None))), Decision::AlreadyFormatted),
            (with_partition("vdb1", fs("ntfs", None)), Decision::NoDisk),
            (Content::Holds(Held::Signature(fs("crypto_LUKS", None))), Decision::NoDisk),
        ] {
            assert_eq!(
                decide(&[(disk("vdb"), idle(content.clone()))], None).decision,
                decision,
                "{content:?}"
            );
        }
    }

    #[test]
    fn a_label_that_is_there_already_is_not_made_twice_even_when_it_is_mounted() {
        let data = with_partition("vdb1", fs("ext4", Some("data")));
        for in_use in [false, true] {
            let disks = [
                (disk("vda"), idle(Content::Blank)),
                (disk("vdb"), Ok(Look { in_use, content: data.clone() })),
            ];
            assert_eq!(decide(&disks, Some("data")).decision, Decision::LabelThere("/dev/vdb1".into()));
            assert_eq!(decide(&disks, Some("other")).decision, Decision::Format(0));
            // Another label is not this one: its disk may still be on its way.
            assert_eq!(decide(&disks[1..], Some("other")).decision, Decision::NoDisk);
        }
    }

    #[test]
    fn a_named_disk_is_formatted_when_it_is_blank_or_when_force_says_so() {
        let ext4 = Held::Signature(fs("ext4", None));
        let ntfs = Held::Signature(fs("ntfs", None));
        for (content, force, expected) in [
            (Content::Blank, false, Named::Format),
            (Content::Unfinished, false, Named::Format),
            (Content::Holds(ext4.clone()), false, Named::Leave(ext4.clone())),
            (Content::Holds(ext4), true, Named::Format),
            (Content::Holds(ntfs.clone()), false, Named::NeedsForce(ntfs.clone())),
            (Content::Holds(ntfs), true, Named::Format),
            (Content::Holds(Held::Bytes), false, Named::NeedsForce(Held::Bytes)),
        ] {
            let look = Look { in_use: false, content: content.clone() };
            assert_eq!(named(&disk("vda"), look, force, LEAST), expected, "{content:?} force={force}");
        }
    }

    #[test]
    fn force_does_not_reach_a_disk_that_is_in_use() {
        let look = || Look { in_use: true, content: Content::Holds(Held::Signature(fs("ext4", None))) };
        assert_eq!(named(&disk("vda"), look(), true, LEAST), Named::Refuse(Passed::InUse));
        assert!(
            matches!(named(&disk("vda"), look(), false, LEAST), Named::Leave(_)),
            "formatted already is no failure"
        );
        let mut held = disk("vda");
        held.holders = vec!["md0".into()];
        let blank = Look { in_use: true, content: Content::Blank };
        assert_eq!(named(&held, blank, true, LEAST), Named::Refuse(Passed::Held(vec!["md0".into()])));
    }
}
