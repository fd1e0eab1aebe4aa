//! Which of the devices is the root.

use super::Root;
use crate::device::block::BlockDevice;
use crate::device::links;

/// A device that is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'d> {
    /// The first in the machine's order.
    pub device: &'d BlockDevice,
    /// Others that `root=` fits too: copies of the same disk, mostly.
    pub others: Vec<&'d BlockDevice>,
}

/// Finds the root among devices in the machine's order.
#[must_use]
pub fn choose<'d>(root: &Root, devices: &'d [BlockDevice]) -> Option<Choice<'d>> {
    let mut fitting = match root {
        Root::PartUuid(uuid, offset) if *offset != 0 => neighbours(uuid, *offset, devices),
        root => devices.iter().filter(|device| fits(root, device)).collect(),
    };
    if fitting.is_empty() {
        return None;
    }
    let device = fitting.remove(0);
    Some(Choice { device, others: fitting })
}

fn fits(root: &Root, device: &BlockDevice) -> bool {
    // UUIDs are hexadecimal numbers, written either way.
    let same =
        |found: Option<&str>, wanted: &str| found.is_some_and(|uuid| uuid.eq_ignore_ascii_case(wanted));
    match root {
        Root::Node(name) => device.name == *name,
        Root::Link(link) => links::names(device).contains(link),
        Root::Number(major, minor) => device.number == (*major, *minor),
        Root::Uuid(uuid) => same(device.uuid(), uuid),
        Root::Label(label) => device.label() == Some(label),
        Root::PartUuid(uuid, _) => same(device.partition.uuid.as_deref(), uuid),
        Root::PartLabel(label) => device.partition.label.as_ref() == Some(label),
    }
}

/// The partitions so many after one with a UUID, on the same disk.
fn neighbours<'d>(uuid: &str, offset: i64, devices: &'d [BlockDevice]) -> Vec<&'d BlockDevice> {
    let first = Root::PartUuid(uuid.to_owned(), 0);
    let named = devices.iter().filter(|device| fits(&first, device));
    let wanted: Vec<(&str, i64)> = named
        .filter_map(|device| device.part_of.as_ref())
        .map(|(disk, number)| (disk.as_str(), i64::from(*number).saturating_add(offset)))
        .collect();
    let place = |device: &'d BlockDevice| {
        device.part_of.as_ref().map(|(disk, number)| (disk.as_str(), i64::from(*number)))
    };
    devices.iter().filter(|device| place(device).is_some_and(|place| wanted.contains(&place))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::identify::Content;
    use crate::device::partitions::Partition;

    fn partition(disk: &str, number: u32, label: &str, uuid: &str) -> BlockDevice {
        BlockDevice {
            name: format!("{disk}{number}"),
            number: (253, number),
            part_of: Some((disk.into(), number)),
            partition: Partition { uuid: Some(format!("AB-{uuid}")), label: Some(format!("part {label}")) },
            content: Some(Content { kind: "ext4", label: Some(label.into()), uuid: Some(uuid.into()) }),
            hardware: vec![format!("by-id/virtio-{disk}-part{number}")],
            ..BlockDevice::default()
        }
    }

    fn devices() -> Vec<BlockDevice> {
        vec![
            BlockDevice { name: "vda".into(), number: (253, 0), ..BlockDevice::default() },
            partition("vda", 1, "boot", "0001"),
            partition("vda", 2, "root", "00ff"),
            partition("vdb", 1, "boot", "0001"),
            partition("vdb", 2, "data", "0100"),
        ]
    }

    #[test]
    fn the_root_is_found_by_each_of_its_names() {
        let devices = devices();
        for root in [
            Root::Node("vda2".into()),
            Root::Number(253, 2),
            Root::Uuid("00FF".into()),
            Root::Label("root".into()),
            Root::PartUuid("ab-00FF".into(), 0),
            Root::PartUuid("ab-0001".into(), 1),
            Root::PartLabel("part root".into()),
            Root::Link("by-uuid/00ff".into()),
            Root::Link("by-partlabel/part\\x20root".into()),
            Root::Link("by-id/virtio-vda-part2".into()),
        ] {
            assert_eq!(choose(&root, &devices).unwrap().device.name, "vda2", "{root}");
        }
    }

    #[test]
    fn of_several_the_first_is_taken_and_the_others_are_named() {
        let devices = devices();
        let choice = choose(&Root::Label("boot".into()), &devices).unwrap();
        assert_eq!(choice.device.name, "vda1");
        assert_eq!(choice.others.iter().map(|device| device.name.as_str()).collect::<Vec<_>>(), ["vdb1"]);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let devices = devices();
        for root in [
            Root::Node("vdc".into()),
            Root::Label("Root".into()),
            Root::Uuid(String::new()),
            Root::PartUuid("ab-00ff".into(), 1),
            Root::PartUuid("ab-00ff".into(), i64::MAX),
            Root::Link("by-uuid/00FF".into()),
        ] {
            assert_eq!(choose(&root, &devices), None, "{root}");
        }
    }
}
