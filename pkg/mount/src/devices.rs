//! The machine's block devices and what they hold, as values to choose from.

use std::fmt;

use lk_format::content::{Found, Signature};
use lk_format::inventory::Disk;
use lk_format::table::Layout;

/// A disk or partition and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its node.
    pub node: String,
    /// Its disk's kernel name.
    pub disk: String,
    /// What keeps its disk from being taken unasked: made up by the kernel, removable, read-only.
    pub odd: Option<&'static str>,
    /// Whether it is a whole disk.
    pub whole: bool,
    /// Whether it lies where `format` puts its partition.
    pub laid_out_by_format: bool,
    /// Whether it is mounted or otherwise claimed.
    pub in_use: bool,
    /// Devices that were made from it.
    pub holders: Vec<String>,
    /// What it holds.
    pub found: Found,
}

impl Device {
    /// What it holds, when that is one thing.
    pub fn signature(&self) -> Option<&Signature> {
        match &self.found {
            Found::One(signature) => Some(signature),
            Found::Nothing | Found::Several => None,
        }
    }

    /// Whether it shows that its disk is one that machines boot from.
    pub fn is_boot_part(&self) -> bool {
        const BOOT_TYPES: [&str; 9] = [
            "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", // EFI system partition
            "21686148-6449-6e6f-744e-656564454649", // BIOS boot
            "0xef",
            "0xb",
            "0xc",
            "0xe",
            "0x1",
            "0x4",
            "0x6",
        ];
        self.signature().is_some_and(|s| {
            s.entry_type.as_deref().is_some_and(|t| BOOT_TYPES.contains(&t.to_ascii_lowercase().as_str()))
                || matches!(s.kind.as_deref(), Some("vfat" | "iso9660" | "squashfs" | "erofs"))
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.node, self.found)
    }
}

/// Lists the devices of `disks`, in their order, each disk before its partitions.
///
/// `look` says whether a device is in use and what it holds. What it cannot look at is left out and returned
/// apart.
pub fn list<E>(
    disks: &[Disk],
    mut look: impl FnMut(&str) -> Result<(bool, Found), E>,
) -> (Vec<Device>, Vec<E>) {
    let mut devices = Vec::new();
    let mut errors = Vec::new();
    // Drives without a medium answer nothing, and RAM disks hold nothing that would have survived.
    let ram = |name: &str| ["ram", "zram", "fd"].iter().any(|p| name.starts_with(p));
    for disk in disks.iter().filter(|d| d.size > 0 && !d.hidden && !ram(&d.name)) {
        let layout = Layout::of(disk.size, disk.sector).ok();
        let whole = (disk.node(), true, false, &disk.holders);
        let parts = disk.partitions.iter().map(|p| {
            let ours = layout.is_some_and(|l| {
                disk.partitions.len() == 1 && (p.start, p.size) == (l.start_bytes(), l.length_bytes())
            });
            (p.node(), false, ours, &p.holders)
        });
        for (node, whole, laid_out_by_format, holders) in std::iter::once(whole).chain(parts) {
            match look(&node) {
                Err(e) => errors.push(e),
                Ok((in_use, found)) => devices.push(Device {
                    node,
                    disk: disk.name.clone(),
                    odd: odd(disk),
                    whole,
                    laid_out_by_format,
                    in_use,
                    holders: holders.clone(),
                    found,
                }),
            }
        }
    }
    (devices, errors)
}

fn odd(disk: &Disk) -> Option<&'static str> {
    match disk.odd_kind() {
        Some(kind) => Some(kind),
        None if disk.removable => Some("removable"),
        None if disk.read_only => Some("read-only"),
        None => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use lk_format::inventory::Partition;

    pub(crate) const MIB: u64 = 1 << 20;

    pub(crate) fn disk(name: &str, partitions: &[(u64, u64)]) -> Disk {
        let partitions = partitions.iter().zip(1..).map(|((start, size), number)| Partition {
            name: format!("{name}{number}"),
            number,
            start: start * MIB,
            size: size * MIB,
            holders: vec![],
        });
        Disk {
            name: name.into(),
            size: 64 * MIB,
            sector: 512,
            removable: false,
            read_only: false,
            hidden: false,
            holders: vec![],
            partitions: partitions.collect(),
        }
    }

    pub(crate) fn fs(kind: &str, label: &str) -> Found {
        Found::One(Signature {
            kind: Some(kind.into()),
            usage: Some("filesystem".into()),
            label: Some(label.into()),
            uuid: Some(format!("uuid-of-{label}")),
            ..Signature::default()
        })
    }

    #[test]
    fn every_disk_and_partition_is_listed_but_those_that_hold_nothing_ever() {
        let mut empty = disk("sr0", &[]);
        empty.size = 0;
        let disks = [disk("vda", &[(1, 62)]), disk("vdb", &[(1, 9), (10, 9)]), disk("zram0", &[]), empty];
        let (devices, errors) = list(&disks, |node| match node {
            "/dev/vdb2" => Err("broken"),
            _ => Ok((false, Found::Nothing)),
        });
        let nodes: Vec<_> =
            devices.iter().map(|d| (d.node.as_str(), d.whole, d.laid_out_by_format)).collect();
        assert_eq!(
            nodes,
            [
                ("/dev/vda", true, false),
                ("/dev/vda1", false, true),
                ("/dev/vdb", true, false),
                ("/dev/vdb1", false, false)
            ]
        );
        assert_eq!(errors, ["broken"]);
    }

    #[test]
    fn partitions_that_machines_boot_from_are_known() {
        let (mut devices, _) = list(&[disk("vda", &[])], |_| Ok::<_, ()>((false, fs("vfat", ""))));
        let mut device = devices.remove(0);
        assert!(device.is_boot_part());
        for (entry_type, boot) in
            [("0xc", true), ("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", true), ("0x83", false)]
        {
            device.found =
                Found::One(Signature { entry_type: Some(entry_type.into()), ..Signature::default() });
            assert_eq!(device.is_boot_part(), boot, "{entry_type}");
        }
    }
}
