//! The links in `/dev/disk`, by which disks are found whatever the kernel calls them.
//!
//! | directory | name |
//! | --- | --- |
//! | `by-uuid`, `by-label` | of the file system |
//! | `by-partuuid`, `by-partlabel` | of the partition, in its disk's table |
//! | `by-id` | model and serial number, WWN |
//! | `by-path` | where it is plugged in |
//!
//! Names are udev's, to the letter: what is written for a machine with udev finds the same disk here. When several
//! devices have one name, the first of them has the link.
//!
//! PID 1 hears of disks and starts `disk-links`, one at a time; that looks at all of them and changes what differs. So a
//! storm of events is one look or a few, and a disk that does not answer holds up that process only.

mod apply;
mod command;
mod escape;

pub use command::{main, update};
pub use escape::{encoded, replaced, underscored};

use std::collections::BTreeMap;

use super::block::BlockDevice;

/// The directories in `/dev/disk`.
pub const DIRECTORIES: [&str; 6] = ["by-id", "by-label", "by-partlabel", "by-partuuid", "by-path", "by-uuid"];
/// Longest file name (`NAME_MAX`).
const NAME_LIMIT: usize = 255;

/// The names of a device, below `/dev/disk`.
#[must_use]
pub fn names(device: &BlockDevice) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |directory: &str, name: Option<&str>| {
        let name = name.map(encoded).filter(|name| is_file_name(name));
        names.extend(name.map(|name| format!("{directory}/{name}")));
    };
    add("by-uuid", device.uuid());
    add("by-label", device.label());
    add("by-partuuid", device.partition.uuid.as_deref());
    add("by-partlabel", device.partition.label.as_deref());
    let hardware = device.hardware.iter();
    names.extend(
        hardware.filter(|name| name.split_once('/').is_some_and(|(_, name)| is_file_name(name))).cloned(),
    );
    names
}

fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= NAME_LIMIT && !name.contains('/')
}

/// The links that there must be: name below `/dev/disk` → node below `/dev`.
#[must_use]
pub fn wanted(devices: &[BlockDevice]) -> BTreeMap<String, String> {
    let mut links = BTreeMap::new();
    for device in devices {
        for name in names(device) {
            links.entry(name).or_insert_with(|| device.name.clone());
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::identify::Content;
    use crate::device::partitions::Partition;

    fn device(name: &str, label: &str) -> BlockDevice {
        let content = Content { kind: "ext4", label: Some(label.into()), uuid: Some("0-1".into()) };
        BlockDevice { name: name.into(), content: Some(content), ..BlockDevice::default() }
    }

    #[test]
    fn a_device_is_linked_by_all_its_names_escaped() {
        let mut vda1 = device("vda1", "my data/ü");
        vda1.partition = Partition { uuid: Some("1234-01".into()), label: Some("EFI System".into()) };
        vda1.hardware = vec!["by-id/virtio-x-part1".into(), "by-path/pci-0-part1".into()];
        assert_eq!(
            names(&vda1),
            [
                "by-uuid/0-1",
                "by-label/my\\x20data\\x2fü",
                "by-partuuid/1234-01",
                "by-partlabel/EFI\\x20System",
                "by-id/virtio-x-part1",
                "by-path/pci-0-part1",
            ]
        );
    }

    #[test]
    fn the_first_of_several_devices_with_one_name_has_the_link() {
        let links = wanted(&[device("vda", "a"), device("vdb", "a"), device("vdc", "c")]);
        assert_eq!(links["by-label/a"], "vda");
        assert_eq!(links["by-label/c"], "vdc");
        assert_eq!(links["by-uuid/0-1"], "vda");
    }

    #[test]
    fn a_label_that_is_no_file_name_has_no_link() {
        for label in ["", ".", "..", &"x".repeat(256), &"/".repeat(64)] {
            assert_eq!(names(&device("vda", label)), ["by-uuid/0-1"], "{label}");
        }
    }
}
