//! Which file system is mounted, and why. Pure.

use crate::cli::Wanted;
use crate::devices::Device;

/// A device that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its node.
    pub node: String,
    /// Why this one, in words that end a sentence.
    pub why: String,
}

/// Why no device can be chosen although some would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// Two file systems answer to one name.
    #[error("{name} is on {}: which one is meant cannot be told; name it with -device", .nodes.join(" and "))]
    Ambiguous {
        /// The name, with its kind.
        name: String,
        /// The devices that have it.
        nodes: Vec<String>,
    },
}

/// Chooses among `devices` the one with a label or UUID, or the data disk when nothing was named; `None` when
/// it is not there.
pub fn choose(devices: &[Device], wanted: &Wanted) -> Result<Option<Chosen>, ChoiceError> {
    match wanted {
        Wanted::Label(label) => by_name(devices, &format!("label {label}"), |d| {
            d.signature().and_then(|s| s.label.as_deref()) == Some(label)
        }),
        Wanted::Uuid(uuid) => by_name(devices, &format!("UUID {uuid}"), |d| {
            d.signature().and_then(|s| s.uuid.as_deref()).is_some_and(|u| u.eq_ignore_ascii_case(uuid))
        }),
        Wanted::Device(node) => by_name(devices, node, |d| d.node == *node),
        Wanted::Any => Ok(any(devices)),
    }
}

fn by_name(
    devices: &[Device],
    name: &str,
    has: impl Fn(&Device) -> bool,
) -> Result<Option<Chosen>, ChoiceError> {
    // A device that another one is made of has that one's file system on it, as one path of a multipath disk
    // has.
    let nodes: Vec<&str> =
        devices.iter().filter(|d| d.holders.is_empty() && has(d)).map(|d| d.node.as_str()).collect();
    match nodes.as_slice() {
        [] => Ok(None),
        [node] => Ok(Some(Chosen { node: (*node).to_owned(), why: format!("it has the {name}") })),
        several => Err(ChoiceError::Ambiguous {
            name: format!("the {name}"),
            nodes: several.iter().map(|n| (*n).to_owned()).collect(),
        }),
    }
}

/// The data disk: a partition that lies where `format` puts it, else another partition, else a whole disk.
fn any(devices: &[Device]) -> Option<Chosen> {
    let rank = |device: &Device| match device {
        d if d.laid_out_by_format => 0,
        d if !d.whole => 1,
        _ => 2,
    };
    let mut able: Vec<&Device> = devices.iter().filter(|d| refusal(devices, d).is_none()).collect();
    able.sort_by_key(|device| rank(device));
    let (first, rest) = able.split_first()?;
    let others: Vec<&str> = rest.iter().map(|d| d.node.as_str()).collect();
    let kind =
        ["a partition that format made", "a Linux partition", "a disk with a Linux file system"][rank(first)];
    let why = match others.as_slice() {
        [] => format!("it is {kind}, and the only one free"),
        others => {
            format!("it is {kind}, and comes before {}; name one with -label to be sure", others.join(", "))
        }
    };
    Some(Chosen { node: first.node.clone(), why })
}

/// Why a device is not taken when nothing was named.
pub fn refusal(devices: &[Device], device: &Device) -> Option<String> {
    let linux = device.signature().is_some_and(|s| s.is_linux_fs());
    match device {
        d if d.odd.is_some() => d.odd.map(|odd| format!("is {odd}")),
        d if d.in_use => Some("is in use".to_owned()),
        d if !d.holders.is_empty() => Some(format!("is part of {}", d.holders.join(", "))),
        _ if !linux => Some("holds no Linux file system".to_owned()),
        d if devices.iter().any(|other| other.disk == d.disk && other.is_boot_part()) => {
            Some("is on a disk to boot from".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::list;
    use crate::devices::tests::{disk, fs};
    use lk_format::content::Found;
    use lk_format::inventory::Disk;

    fn devices(disks: &[Disk], holds: &[(&str, Found)], in_use: &[&str]) -> Vec<Device> {
        let found =
            |node: &str| holds.iter().find(|(n, _)| *n == node).map_or(Found::Nothing, |(_, f)| f.clone());
        list(disks, |node| Ok::<_, ()>((in_use.contains(&node), found(node)))).0
    }

    fn any_of(devices: &[Device]) -> Option<String> {
        choose(devices, &Wanted::Any).unwrap().map(|c| c.node)
    }

    #[test]
    fn the_partition_that_format_made_comes_before_all_others() {
        let disks = [disk("vda", &[]), disk("vdb", &[(1, 9), (10, 9)]), disk("vdc", &[(1, 62)])];
        let ext4 = || fs("ext4", "x");
        let holds = [
            ("/dev/vda", ext4()),
            ("/dev/vdb1", ext4()),
            ("/dev/vdb2", ext4()),
            ("/dev/vdc1", fs("xfs", "")),
        ];
        assert_eq!(any_of(&devices(&disks, &holds, &[])).as_deref(), Some("/dev/vdc1"));
        assert_eq!(any_of(&devices(&disks, &holds, &["/dev/vdc1"])).as_deref(), Some("/dev/vdb1"));
        assert_eq!(
            any_of(&devices(&disks, &holds, &["/dev/vdc1", "/dev/vdb1"])).as_deref(),
            Some("/dev/vdb2")
        );
        assert_eq!(any_of(&devices(&disks, &holds[..1], &[])).as_deref(), Some("/dev/vda"));
        let why = choose(&devices(&disks, &holds, &[]), &Wanted::Any).unwrap().unwrap().why;
        assert!(why.contains("format made") && why.contains("/dev/vdb1, /dev/vdb2, /dev/vda"), "{why}");
    }

    #[test]
    fn nothing_is_taken_unasked_from_a_boot_disk_or_from_what_is_no_data_disk() {
        let boot = disk("vda", &[(1, 9), (10, 9)]);
        let holds = [("/dev/vda1", fs("vfat", "ESP")), ("/dev/vda2", fs("ext4", "root"))];
        assert_eq!(any_of(&devices(&[boot], &holds, &[])), None);

        let ext4 = |node| [(node, fs("ext4", "x"))];
        let mut stick = disk("sda", &[]);
        stick.removable = true;
        let mut read_only = disk("sdb", &[]);
        read_only.read_only = true;
        let mut member = disk("sdc", &[]);
        member.holders = vec!["md0".into()];
        assert_eq!(any_of(&devices(&[stick], &ext4("/dev/sda"), &[])), None);
        assert_eq!(any_of(&devices(&[read_only], &ext4("/dev/sdb"), &[])), None);
        assert_eq!(any_of(&devices(&[member], &ext4("/dev/sdc"), &[])), None);
        assert_eq!(any_of(&devices(&[disk("loop0", &[])], &ext4("/dev/loop0"), &[])), None);
        for kind in ["ntfs", "swap", "LVM2_member", "crypto_LUKS", "iso9660"] {
            assert_eq!(
                any_of(&devices(&[disk("vdb", &[])], &[("/dev/vdb", fs(kind, ""))], &[])),
                None,
                "{kind}"
            );
        }
    }

    #[test]
    fn a_label_or_uuid_is_found_wherever_it_is() {
        let disks = [disk("vda", &[(1, 9), (10, 9)]), disk("dm-0", &[]), disk("sr0", &[])];
        let holds = [
            ("/dev/vda1", fs("vfat", "ESP")),
            ("/dev/vda2", fs("ext4", "data")),
            ("/dev/dm-0", fs("xfs", "secret")),
            ("/dev/sr0", fs("iso9660", "config-2")),
        ];
        let devices = devices(&disks, &holds, &["/dev/vda2"]);
        let find = |wanted| choose(&devices, &wanted).unwrap().map(|c| c.node);
        for (label, node) in
            [("data", "/dev/vda2"), ("ESP", "/dev/vda1"), ("secret", "/dev/dm-0"), ("config-2", "/dev/sr0")]
        {
            assert_eq!(find(Wanted::Label(label.into())).as_deref(), Some(node));
        }
        assert_eq!(find(Wanted::Uuid("UUID-of-DATA".into())).as_deref(), Some("/dev/vda2"));
        assert_eq!(find(Wanted::Label("dat".into())), None);
    }

    #[test]
    fn a_label_on_two_file_systems_is_an_error_that_names_both() {
        let disks = [disk("vda", &[]), disk("vdb", &[])];
        let holds = [("/dev/vda", fs("ext4", "data")), ("/dev/vdb", fs("ext4", "data"))];
        let error =
            choose(&devices(&disks, &holds, &[]), &Wanted::Label("data".into())).unwrap_err().to_string();
        for part in ["label data", "/dev/vda and /dev/vdb", "-device"] {
            assert!(error.contains(part), "{error}");
        }
        // The same file system seen through the device that is made of the first is one, not two.
        let mut member = disk("vda", &[]);
        member.holders = vec!["dm-0".into()];
        let disks = [member, disk("dm-0", &[])];
        let holds = [("/dev/vda", fs("ext4", "data")), ("/dev/dm-0", fs("ext4", "data"))];
        let chosen = choose(&devices(&disks, &holds, &[]), &Wanted::Label("data".into())).unwrap().unwrap();
        assert_eq!(chosen.node, "/dev/dm-0");
    }
}
