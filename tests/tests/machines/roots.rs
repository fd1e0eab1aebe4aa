//! Machines whose root is on a disk, found by a small initrd.

use std::path::Path;
use std::process::Command;

use lk_tests::image::run_lkb;
use lk_tests::metadata::Instance;
use lk_tests::roots::{Kind, LABEL, Split, UUID, split};
use lk_tests::vm::{Setup, Vm, ssh_key};
use serde_json::json;

/// The machine that is booted: containerd, five containers, a disk for data.
const YAML: &str = "examples/ldap.yml";

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Boots a machine from its disk, asks its services, looks at its root, and powers it off.
fn boots_from(kind: Kind, root: &str, file_system: &str) {
    let dir = directory();
    let (key, public) = ssh_key(dir.path());
    let machine = split(YAML, dir.path(), kind, root);
    println!("{kind:?}: {} bytes of initrd", machine.initrd_size);
    let cloud = Instance { name: "root".into(), user_data: None, keys: vec![("k".into(), public)] };
    let setup = Setup { disks: vec![machine.argument()], cloud: Some(cloud), ..Setup::default() };
    let mut vm = Vm::boot(&machine.prefix, dir.path(), &setup);
    vm.wait("Welcome to LinuxKit");
    assert!(vm.search("dc=example,dc=org", "password").contains("o: Example"), "LDAP does not serve");
    is_read_only_but_for_its_writable_places(&vm, &key, file_system);
    is_linked(&vm, &key, kind);
    if kind == Kind::Erofs {
        follows_disks_that_come_and_go(&vm, &key, dir.path());
    }
    vm.press_power_button();
    vm.wait_off();
}

fn is_read_only_but_for_its_writable_places(vm: &Vm, key: &Path, file_system: &str) {
    let mounts = vm.guest(key, "cat /proc/1/mountinfo");
    let of = |target: &str| {
        let line = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some(target));
        line.unwrap_or_else(|| panic!("no mount on {target}: {mounts}"))
    };
    let root = of("/");
    assert!(root.contains(&format!(" - {file_system} ")), "{root}");
    let (mount, super_block) = root.split_once(" - ").expect("a separator");
    let is_ro = |options: Option<&str>| options.is_some_and(|o| o.split(',').any(|o| o == "ro"));
    assert!(is_ro(mount.split(' ').nth(5)) || is_ro(super_block.split(' ').nth(2)), "{root}");
    for writable in ["/run", "/tmp", "/var"] {
        assert!(of(writable).contains(" - tmpfs "), "{}", of(writable));
    }
    // Nothing of the initrd is left in memory, and nothing of it is mounted.
    assert!(!mounts.contains("/sysroot"), "{mounts}");
}

/// The disk can be found by its names.
fn is_linked(vm: &Vm, key: &Path, kind: Kind) {
    let wanted = match kind {
        Kind::Ext4 => vec![format!("by-uuid/{UUID} ../../vda"), "by-label/lkb\\x20root ../../vda".into()],
        Kind::Erofs => vec![format!("by-uuid/{UUID} ../../vda")],
        Kind::Iso => vec!["by-label/lkb\\x20root ../../vda".into()],
    };
    has_links(vm, key, &wanted);
}

fn has_links(vm: &Vm, key: &Path, wanted: &[String]) {
    let links =
        vm.guest(key, "cd /proc/1/root/dev/disk && for l in */*; do echo \"$l $(readlink $l)\"; done");
    for link in wanted {
        assert!(links.lines().any(|line| line == *link), "{link} is missing: {links}");
    }
    assert!(links.lines().any(|line| line.starts_with("by-path/pci-0000:00:")), "{links}");
}

/// A disk that is plugged in has its links, ten thousand events later still, and loses them when it is pulled.
fn follows_disks_that_come_and_go(vm: &Vm, key: &Path, dir: &Path) {
    let image = dir.join("plugged.raw");
    let path = image.to_str().expect("a UTF-8 path");
    run("truncate", &["-s", "8M", path]);
    run("mkfs.ext4", &["-q", "-L", "plugged", path]);
    let has_link = "test -L /proc/1/root/dev/disk/by-label/plugged";
    let mut qmp = vm.qmp();
    let file = json!({"driver": "file", "filename": path});
    qmp.run("blockdev-add", &json!({"node-name": "plugged", "driver": "raw", "file": file}));
    qmp.run(
        "device_add",
        &json!({"driver": "virtio-blk-pci", "drive": "plugged", "id": "d1", "serial": "my disk"}),
    );
    let wait = |condition: &str| vm.guest(key, &format!("until {condition}; do sleep 0.1; done; echo done"));
    assert_eq!(wait(has_link), "done\n");
    let links = vm.guest(key, "ls /proc/1/root/dev/disk/by-id");
    assert!(links.lines().any(|name| name == "virtio-my_disk"), "{links}");
    let storm = "n=0; while [ $n -lt 10000 ]; do echo change >/proc/1/root/sys/class/block/vdb/uevent; n=$((n+1)); done; echo over";
    assert_eq!(vm.guest(key, storm), "over\n");
    assert_eq!(
        vm.guest(key, &format!("{has_link} && readlink /proc/1/root/dev/disk/by-id/virtio-my_disk")),
        "../../vdb\n"
    );
    qmp.run("device_del", &json!({"id": "d1"}));
    assert_eq!(wait(&format!("! {has_link}")), "done\n");
}

fn run(program: &str, args: &[&str]) {
    let out = Command::new(program).args(args).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output();
    let out = out.unwrap_or_else(|error| panic!("running {program}: {error}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Builds a format, boots it with `lkb run`, and asks and looks as above.
fn built_boots(args: &[&str], file: &str, file_system: &str) {
    let dir = directory();
    let (key, public) = ssh_key(dir.path());
    let out = dir.path().to_str().expect("a UTF-8 path");
    let built = run_lkb(&[&["build", "--name", "m", "--dir", out], args, &[YAML]].concat());
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let cloud = Instance { name: "root".into(), user_data: None, keys: vec![("k".into(), public)] };
    let mut vm =
        Vm::boot(&dir.path().join(file), dir.path(), &Setup { cloud: Some(cloud), ..Setup::default() });
    vm.wait("Welcome to LinuxKit");
    assert!(vm.search("dc=example,dc=org", "password").contains("o: Example"), "LDAP does not serve");
    is_read_only_but_for_its_writable_places(&vm, &key, file_system);
    all_services_run(&vm, &key);
    vm.press_power_button();
    vm.wait_off();
}

fn all_services_run(vm: &Vm, key: &Path) {
    let list = vm.guest(key, "chroot /proc/1/root /usr/bin/service list");
    for service in ["rngd", "sshd", "slapd"] {
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(service));
        assert!(line.is_some_and(|line| line.contains("running")), "{service}: {list}");
    }
}

#[test]
fn a_kernel_boots_from_squashfs_that_is_the_whole_of_a_disk() {
    built_boots(&["--format", "kernel+squashfs"], "m", "squashfs");
}

#[test]
fn a_machine_boots_from_ext4_that_is_named_by_its_label() {
    boots_from(Kind::Ext4, &format!("\"root=LABEL={LABEL}\""), "ext4");
}

#[test]
fn a_machine_boots_from_erofs_that_is_named_by_its_uuid() {
    boots_from(Kind::Erofs, &format!("root=UUID={UUID} rootfstype=erofs ro"), "erofs");
}

#[test]
fn a_machine_boots_from_iso_9660_that_is_named_by_its_link() {
    boots_from(Kind::Iso, "root=/dev/disk/by-label/lkb\\x20root", "iso9660");
}

#[test]
fn a_root_that_does_not_come_is_said_with_what_there_is_instead_and_the_machine_reboots() {
    let dir = directory();
    let machine: Split =
        split("examples/minimal.yml", dir.path(), Kind::Erofs, "root=LABEL=other lkb.rootwait=3");
    let setup = Setup { disks: vec![machine.argument()], ..Setup::default() };
    let vm = Vm::boot(&machine.prefix, dir.path(), &setup);
    let line = vm.wait("/dev/vda ");
    assert!(line.contains("erofs") && line.contains(&format!("UUID={UUID}")), "{line}");
    let line = vm.wait("cannot go on");
    assert!(line.contains("LABEL=other, which root= asks for, has not come within 3 s"), "{line}");
    assert!(line.contains("rebooting in 10 s"), "{line}");
}
