use std::fs::{self, create_dir_all, write};
use std::path::Path;

use super::*;

/// A machine with a partitioned virtio disk and an empty CD drive.
fn machine(root: &Path) -> Sysfs {
    let (sys, dev) = (root.join("sys"), root.join("dev"));
    let class = sys.join("class/block");
    create_dir_all(&class).unwrap();
    create_dir_all(&dev).unwrap();
    let add = |path: &str, files: &[(&str, &str)]| {
        let device = sys.join("devices").join(path);
        create_dir_all(&device).unwrap();
        for (name, text) in files {
            let file = device.join(name);
            create_dir_all(file.parent().unwrap()).unwrap();
            write(file, text).unwrap();
        }
        let name = device.file_name().unwrap();
        std::os::unix::fs::symlink(&device, class.join(name)).unwrap();
    };
    let disk = "pci0000:00/0000:00:04.0/virtio1/block/vda";
    add(
        disk,
        &[("dev", "253:0\n"), ("size", "8\n"), ("serial", "root"), ("queue/logical_block_size", "512\n")],
    );
    add(&format!("{disk}/vda2"), &[("dev", "253:2\n"), ("size", "4\n"), ("partition", "2\n")]);
    add(&format!("{disk}/vda10"), &[("dev", "253:10\n"), ("size", "4\n"), ("partition", "10\n")]);
    add("virtual/block/cciss!c0d0", &[("dev", "104:0\n"), ("size", "8\n")]);
    add("pci0000:00/ata1/block/sr0", &[("dev", "11:0\n"), ("size", "0\n")]);
    add("virtual/block/ram0", &[("dev", "1:0\n"), ("size", "8\n")]);
    let mut boot = vec![0; 4096];
    boot[440..444].copy_from_slice(&0xabcd_1234u32.to_le_bytes());
    boot[446 + 4] = 0x83;
    boot[510..512].copy_from_slice(&[0x55, 0xaa]);
    write(dev.join("vda"), boot).unwrap();
    let mut squashfs = vec![0; 2048];
    squashfs[..4].copy_from_slice(b"hsqs");
    squashfs[28] = 4;
    write(dev.join("vda2"), squashfs).unwrap();
    create_dir_all(dev.join("cciss")).unwrap();
    write(dev.join("cciss/c0d0"), vec![0; 4096]).unwrap();
    Sysfs::at(&sys, &dev)
}

#[test]
fn disks_and_partitions_are_read_with_all_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let devices = machine(dir.path()).devices();
    let shown: Vec<String> = devices.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "/dev/vda 0 MiB dos",
            "/dev/vda2 0 MiB squashfs PARTUUID=abcd1234-02",
            "/dev/vda10 0 MiB (cannot be opened: No such file or directory (os error 2))",
            "/dev/cciss/c0d0 0 MiB (nothing known)",
        ]
    );
    assert_eq!(devices[1].number, (253, 2));
    assert_eq!(devices[1].part_of, Some(("vda".into(), 2)));
    assert_eq!(devices[1].hardware, ["by-id/virtio-root-part2", "by-path/pci-0000:00:04.0-part2"]);
    assert_eq!(devices[0].hardware, ["by-id/virtio-root", "by-path/pci-0000:00:04.0"]);
}

#[test]
fn a_machine_without_sysfs_has_no_devices() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Sysfs::at(dir.path(), dir.path()).devices().is_empty());
    fs::create_dir_all(dir.path().join("class/block/gone")).unwrap();
    assert!(Sysfs::at(dir.path(), dir.path()).devices().is_empty());
}

#[test]
fn what_a_disk_claims_to_be_called_cannot_control_a_terminal() {
    let content = Content { kind: "ext4", label: Some("\u{1b}[31m\n".into()), uuid: Some("\u{7}".into()) };
    let device = BlockDevice { name: "vda".into(), content: Some(content), ..BlockDevice::default() };
    assert_eq!(device.to_string(), "/dev/vda 0 MiB ext4 LABEL=\"\\u{1b}[31m\\n\" UUID=\\u{7}");
}
