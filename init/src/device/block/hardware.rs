//! Names that a disk has by what it is and where it is plugged in, as udev's rules make them (60-persistent-storage.rules,
//! scsi_id(8), path_id): pure, over sysfs' attributes.

use std::fmt::Write;

use crate::device::links::{replaced, underscored};

/// Reads an attribute; of the disk for [`by_id`], below `/sys` for [`by_path`].
pub type Attribute<'a> = dyn Fn(&str) -> Option<Vec<u8>> + 'a;

/// The names of a disk under `/dev/disk/by-id`.
///
/// | disk | names |
/// | --- | --- |
/// | virtio-blk | `virtio-SERIAL` |
/// | NVMe | `nvme-MODEL_SERIAL`, `nvme-eui.…` or `nvme-uuid.…` |
/// | ATA | `ata-MODEL_SERIAL`, `wwn-0x…` |
/// | SCSI | `scsi-ID`, `scsi-SVENDOR_MODEL_SERIAL`, `wwn-0x…` |
/// | eMMC, SD | `mmc-NAME_SERIAL` |
/// | device mapper | `dm-name-NAME`, `dm-uuid-UUID` |
pub fn by_id(name: &str, attribute: &Attribute<'_>) -> Vec<String> {
    let text = |file: &str| {
        let text = String::from_utf8_lossy(&attribute(file)?).trim_matches(['\0', ' ', '\n']).to_owned();
        Some(text).filter(|text| !text.is_empty())
    };
    let mut names = Vec::new();
    if name.starts_with("vd") {
        names.extend(text("serial").map(|serial| format!("virtio-{}", underscored(&serial))));
    } else if name.starts_with("nvme") {
        if let (Some(model), Some(serial)) = (text("device/model"), text("device/serial")) {
            names.push(format!("nvme-{}_{}", underscored(&model), underscored(&serial)));
        }
        names.extend(text("wwid").map(|wwid| format!("nvme-{}", underscored(&wwid))));
    } else if name.starts_with("mmcblk") {
        if let (Some(card), Some(serial)) = (text("device/name"), text("device/serial")) {
            names.push(format!("mmc-{}_{}", underscored(&card), underscored(&serial)));
        }
    } else if name.starts_with("dm-") {
        names.extend(text("dm/name").map(|name| format!("dm-name-{}", replaced(&name))));
        names.extend(text("dm/uuid").map(|uuid| format!("dm-uuid-{}", replaced(&uuid))));
    } else {
        let pages =
            [attribute("device/vpd_pg80"), attribute("device/vpd_pg83")].map(Option::unwrap_or_default);
        let (vendor, model) =
            (text("device/vendor").unwrap_or_default(), text("device/model").unwrap_or_default());
        names.extend(scsi(&vendor, &model, &pages));
    }
    names.into_iter().map(|name| format!("by-id/{name}")).collect()
}

/// The names that SCSI's Vital Product Data give (SPC-4, 7.8: page 0x80 the serial number, 0x83 the designators).
fn scsi(vendor: &str, model: &str, [serial, designators]: &[Vec<u8>; 2]) -> Vec<String> {
    let ata = vendor == "ATA";
    let mut names = Vec::new();
    for designator in self::designators(designators) {
        // All of the device itself, rather than of a port or target.
        match designator {
            Designator { association: 0, kind: 3, value } => {
                let number = value.iter().fold(String::new(), |mut text, byte| {
                    // Writing to a string cannot fail.
                    write!(text, "{byte:02x}").ok();
                    text
                });
                names.push(format!("wwn-0x{number}"));
                if !ata {
                    names.push(format!("scsi-3{number}"));
                }
            }
            Designator { association: 0, kind: 1, value } => {
                let value = String::from_utf8_lossy(value);
                match value.strip_prefix("ATA     ") {
                    // 40 bytes of model, then the serial number.
                    Some(rest) => names.push(format!("ata-{}", underscored(rest))),
                    None => names.push(format!("scsi-1{}", underscored(&value))),
                }
            }
            Designator { association: 0, kind: 0, value } => {
                let value = String::from_utf8_lossy(value);
                names.push(format!(
                    "scsi-0{}_{}_{}",
                    underscored(vendor),
                    underscored(model),
                    underscored(&value)
                ));
            }
            Designator { .. } => {}
        }
    }
    let serial =
        serial.get(4..).map(|serial| String::from_utf8_lossy(serial).trim_matches(['\0', ' ']).to_owned());
    if let Some(serial) = serial.filter(|serial| !serial.is_empty() && !ata) {
        names.push(format!("scsi-S{}_{}_{}", underscored(vendor), underscored(model), underscored(&serial)));
    }
    names
}

/// One way to tell a SCSI device from others.
struct Designator<'a> {
    association: u8,
    kind: u8,
    value: &'a [u8],
}

/// The designators of page 0x83; what is cut off ends the list.
fn designators(page: &[u8]) -> impl Iterator<Item = Designator<'_>> {
    let mut rest = page.get(4..).unwrap_or_default();
    std::iter::from_fn(move || {
        let [_code_set, kind, _, length, after @ ..] = rest else { return None };
        let value = after.get(..usize::from(*length))?;
        rest = after.get(usize::from(*length)..)?;
        Some(Designator { association: (kind >> 4) & 3, kind: kind & 0x0f, value })
    })
}

/// The name of a disk under `/dev/disk/by-path`, from where it is below `/sys`; none for what has no place.
pub fn by_path(below_sys: &str, attribute: &Attribute<'_>) -> Option<String> {
    let (parents, disk) = below_sys.strip_prefix("devices/")?.rsplit_once('/')?;
    // NVMe has its disks without a directory for them.
    let parents = parents.strip_suffix("/block").unwrap_or(parents);
    let way: Vec<&str> = parents.split('/').collect();
    let pci = way.iter().rposition(|part| is_pci(part));
    let (at, mut name) = match pci.and_then(|at| Some((at, way.get(at)?))) {
        Some((at, function)) => (at, format!("by-path/pci-{function}")),
        None => platform(&way)?,
    };
    let number = |file: &str| {
        let text = String::from_utf8(attribute(file)?).ok()?;
        text.trim().parse::<u32>().ok()
    };
    for (index, part) in way.iter().enumerate().skip(at + 1) {
        if let Some(port) = ata(part) {
            let here = way.get(..=index)?.join("/");
            let port = number(&format!("devices/{here}/ata_port/{part}/port_no")).unwrap_or(port);
            let [_, _, target, _] = scsi_address(way.last()?)?;
            return Some(format!("{name}-ata-{port}.{target}"));
        }
        if *part == "nvme" {
            let unit = disk.rsplit_once('n').and_then(|(_, unit)| unit.parse().ok());
            return Some(format!("{name}-nvme-{}", number(&format!("{below_sys}/nsid")).or(unit)?));
        }
        if let Some(interface) = usb_interface(part) {
            name.push_str(&format!("-usb-0:{interface}"));
        } else if let Some([_, channel, target, lun]) = scsi_address(part) {
            return Some(format!("{name}-scsi-0:{channel}:{target}:{lun}"));
        }
    }
    Some(name)
}

/// `0000:00:1f.2`.
fn is_pci(part: &str) -> bool {
    let bytes = part.as_bytes();
    let hex = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    bytes.len() == 12
        && (bytes.get(4), bytes.get(7), bytes.get(10)) == (Some(&b':'), Some(&b':'), Some(&b'.'))
        && hex(0..4)
        && hex(5..7)
        && hex(8..10)
        && hex(11..12)
}

/// A device of the board: `devices/platform/a003e00.virtio_mmio`.
fn platform(way: &[&str]) -> Option<(usize, String)> {
    match way {
        ["platform", device, ..] => Some((1, format!("by-path/platform-{device}"))),
        _ => None,
    }
}

/// The number in `ata1`.
fn ata(part: &str) -> Option<u32> {
    part.strip_prefix("ata")?.parse().ok()
}

/// `1:1.0` of `2-1:1.0`.
fn usb_interface(part: &str) -> Option<&str> {
    let (bus, rest) = part.split_once('-')?;
    (bus.bytes().all(|byte| byte.is_ascii_digit()) && rest.contains(':')).then_some(rest)
}

/// Host, channel, target and unit of `2:0:0:1`.
fn scsi_address(part: &str) -> Option<[u32; 4]> {
    let mut numbers = part.split(':').map(|number| number.parse().ok());
    let address = [numbers.next()??, numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    type File<'a> = (&'a str, &'a [u8]);

    /// Attributes by their path.
    fn attributes<'a>(files: &'a [File<'a>]) -> impl Fn(&str) -> Option<Vec<u8>> + 'a {
        move |path| files.iter().find(|(name, _)| *name == path).map(|(_, bytes)| bytes.to_vec())
    }

    fn page(designators: &[(u8, &[u8])]) -> Vec<u8> {
        let mut page = vec![0, 0x83, 0, 0];
        for (kind, value) in designators {
            page.extend([2, *kind, 0, u8::try_from(value.len()).unwrap()]);
            page.extend(*value);
        }
        page
    }

    #[test]
    fn disks_are_named_by_what_they_are() {
        let ata = page(&[
            (1, b"ATA     QEMU HARDDISK                           QM00001             "),
            (3, &[0x50, 0x00, 0xc5, 0x00, 0, 0, 0, 1]),
        ]);
        let scsi = page(&[(0, b"drive-0"), (0x13, b"porthere"), (3, &[0x60, 1])]);
        let cases: &[(&str, &[File<'_>], &[&str])] = &[
            ("vda", &[("serial", b"data disk\0")], &["virtio-data_disk"]),
            ("vda", &[("serial", b"")], &[]),
            (
                "nvme0n1",
                &[
                    ("device/model", b"QEMU NVMe Ctrl   \n"),
                    ("device/serial", b"abc \n"),
                    ("wwid", b"eui.01\n"),
                ],
                &["nvme-QEMU_NVMe_Ctrl_abc", "nvme-eui.01"],
            ),
            (
                "sda",
                &[
                    ("device/vendor", b"ATA     \n"),
                    ("device/model", b"QEMU HARDDISK\n"),
                    ("device/vpd_pg83", &ata),
                ],
                &["ata-QEMU_HARDDISK_QM00001", "wwn-0x5000c50000000001"],
            ),
            (
                "sdb",
                &[
                    ("device/vendor", b"QEMU    \n"),
                    ("device/model", b"QEMU HARDDISK   \n"),
                    ("device/vpd_pg80", b"\0\x80\0\x04s/1\0"),
                    ("device/vpd_pg83", &scsi),
                ],
                &[
                    "scsi-0QEMU_QEMU_HARDDISK_drive-0",
                    "wwn-0x6001",
                    "scsi-36001",
                    "scsi-SQEMU_QEMU_HARDDISK_s_1",
                ],
            ),
            ("mmcblk0", &[("device/name", b"SC16G\n"), ("device/serial", b"0x1\n")], &["mmc-SC16G_0x1"]),
            (
                "dm-0",
                &[("dm/name", b"root\n"), ("dm/uuid", b"CRYPT-1\n")],
                &["dm-name-root", "dm-uuid-CRYPT-1"],
            ),
            ("loop0", &[], &[]),
        ];
        for (name, files, expected) in cases {
            let expected: Vec<String> = expected.iter().map(|name| format!("by-id/{name}")).collect();
            assert_eq!(by_id(name, &attributes(files)), expected, "{name}");
        }
    }

    #[test]
    fn disks_are_named_by_where_they_are_plugged_in() {
        let ata = "devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda";
        let cases = [
            ("devices/pci0000:00/0000:00:04.0/virtio1/block/vda", Some("pci-0000:00:04.0")),
            ("devices/pci0000:00/0000:00:1e.0/0000:01:02.0/virtio1/block/vda", Some("pci-0000:01:02.0")),
            (
                "devices/pci0000:00/0000:00:05.0/virtio2/host0/target0:0:1/0:0:1:3/block/sda",
                Some("pci-0000:00:05.0-scsi-0:0:1:3"),
            ),
            (ata, Some("pci-0000:00:1f.2-ata-1.0")),
            ("devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1", Some("pci-0000:00:04.0-nvme-1")),
            (
                "devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb",
                Some("pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0"),
            ),
            ("devices/platform/a003e00.virtio_mmio/virtio3/block/vda", Some("platform-a003e00.virtio_mmio")),
            ("devices/virtual/block/loop0", None),
            ("devices", None),
        ];
        let port = "devices/pci0000:00/0000:00:1f.2/ata3/ata_port/ata3/port_no";
        for (path, expected) in cases {
            let expected = expected.map(|name| format!("by-path/{name}"));
            assert_eq!(by_path(path, &attributes(&[(port, b"1\n")])), expected, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_disk_says_of_itself_is_no_panic_and_one_file_name(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
            name in "(vd|sd|nvme|mmcblk|dm-)[a-z0-9]{0,4}",
        ) {
            for name in by_id(&name, &|_: &str| Some(bytes.clone())) {
                proptest::prop_assert!(!name["by-id/".len()..].contains(['/', '\0', '\n', ' ']), "{name:?}");
            }
        }

        #[test]
        fn any_path_is_no_panic(path in "(devices/)?([a-z0-9:.-]{0,14}/){0,6}(block/)?[a-z0-9]{0,6}") {
            std::hint::black_box(by_path(&path, &|_: &str| None));
        }
    }
}
