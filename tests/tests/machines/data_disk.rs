//! Data disks that hold something already, or hold too much.

use std::path::Path;
use std::process::Command;

use lk_tests::disk::{Disk, PARTITION};
use lk_tests::image::ldap;
use lk_tests::vm::{Setup, Vm};

fn run(program: &str, args: &[&str]) {
    let out = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("running {program}: {e}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

#[test]
fn a_disk_with_a_foreign_signature_is_left_alone_byte_for_byte() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let disk = Disk::blank(dir.path(), 64);
    run("mkswap", &[text(disk.path())]);
    let before = disk.fingerprint();
    let mut vm = Vm::boot(ldap(), dir.path(), &Setup { disks: vec![disk.argument()], ..Setup::default() });
    assert!(
        vm.search("dc=example,dc=org", "password").contains("o: Example"),
        "LDAP serves from memory instead"
    );
    let console = vm.console().text();
    let line = console.lines().find(|l| l.contains("/dev/vdb") && l.contains("left alone"));
    assert!(line.is_some_and(|l| l.contains("swap")), "nothing is said of the disk: {line:?}");
    vm.press_power_button();
    vm.wait_off();
    assert_eq!(disk.fingerprint(), before, "the disk was changed");
}

#[test]
fn a_full_disk_is_named_with_the_service_that_needs_it_and_keeps_what_it_holds() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let disk = Disk::blank(dir.path(), 48);
    let image = text(disk.path());
    disk.partition();
    let content = dir.path().join("content");
    std::fs::create_dir(&content).expect("a directory");
    std::fs::write(content.join("treasure"), vec![7; 28 << 20]).expect("a large file");
    let args =
        ["-q", "-t", "ext4", "-m", "0", "-d", text(&content), "-E", &format!("offset={PARTITION}"), image];
    run("mke2fs", &[&args[..], &["46M"]].concat());
    fill(&disk);

    let mut vm = Vm::boot(ldap(), dir.path(), &Setup { disks: vec![disk.argument()], ..Setup::default() });
    let line = vm.wait("the disk is full");
    assert!(line.contains("slapd"), "the service is not named: {line}");
    assert!(line.contains("/var/lib/openldap"), "the directory is not named: {line}");
    vm.press_power_button();
    vm.wait_off();
    disk.assert_clean();
    let treasure = disk.file("treasure");
    assert!(treasure.len() == 28 << 20 && treasure.iter().all(|b| *b == 7), "the disk lost what it held");
}

/// Uses up what space the file system has left.
fn fill(disk: &Disk) {
    let filler = disk.path().with_extension("filler");
    let image = format!("{}?offset={PARTITION}", disk.path().display());
    let stat = Command::new("dumpe2fs").args(["-h", &image]).output().expect("running dumpe2fs");
    let stat = String::from_utf8_lossy(&stat.stdout).into_owned();
    let number = |key: &str| -> usize {
        let line = stat.lines().find(|l| l.starts_with(key)).unwrap_or_else(|| panic!("no {key} in {stat}"));
        line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number")
    };
    let free = number("Free blocks:") * number("Block size:");
    std::fs::write(&filler, vec![0xff; free]).expect("the filler");
    let command = format!("write {} filler", filler.display());
    // debugfs writes until nothing is left and then complains: that is what is wanted.
    let out = Command::new("debugfs").args(["-w", "-R", &command, &image]).output().expect("running debugfs");
    assert!(out.status.success());
}
