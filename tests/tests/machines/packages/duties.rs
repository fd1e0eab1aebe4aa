//! One machine with most packages for small duties, booted twice: as it was made, and with a larger disk.

use std::fs;
use std::path::{Path, PathBuf};

use lk_tests::disk::Disk;
use lk_tests::image::build_initrd_with;
use lk_tests::readme::example;
use lk_tests::root;
use lk_tests::vm::{Setup, Vm};

use super::{said, show};

/// What is there after the first boot, each line by the package that did it.
const FIRST: &str = r#"
    say sysfs $(cat /sys/kernel/mm/transparent_hugepage/khugepaged/defrag) $(cat /sys/kernel/mm/transparent_hugepage/enabled)
    say sysctl $(cat /proc/sys/net/ipv4/ip_forward)
    say modprobe $(ls -d /sys/module/dummy /sys/module/br_netfilter)
    say crypt $(grep ' /var/secret ' /proc/mounts) on $(cat /sys/block/dm-*/dm/name)
    say losetup $(cat /sys/block/loop0/loop/backing_file) $(cat /sys/block/loop0/size)
    say swap $(tail -n +2 /proc/swaps) of $(cat /sys/block/loop1/loop/backing_file)
    say mount $(grep ' /var/lib/data ' /proc/mounts)
    until grep -q 'Linux version' /var/log/kmsg.out.log; do sleep 0.1; done
    say kmsg $(grep -m 1 'Linux version' /var/log/kmsg.out.log)
"#;

/// What is there after the disks were enlarged.
const SECOND: &str = r#"
    say swap $(tail -n +2 /proc/swaps) of $(cat /sys/block/loop*/loop/backing_file)
    say ext4 $(df -m /var/lib/data | tail -n 1)
    say btrfs $(df -m /var/btrfs | tail -n 1)
    say xfs $(df -m /var/xfs | tail -n 1)
    say plain $(grep ' file' /proc/swaps)
    until echo a page >/var/www/index.html; do sleep 0.1; done
    until page=$(wget -q -O - http://127.0.0.1/); do sleep 0.1; done
    say busybox $page
    until grep -q . /var/log/tls.out.log; do sleep 0.1; done
    say ca-certificates $(cat /var/log/tls.out.log)
"#;

/// A container that has the certificate authorities as their README says.
const TLS: &str = r#"services:
  - name: tls
    image: "@pkg:../pkg/busybox"
    binds.add: [/etc/ssl/certs:/etc/ssl/certs:ro]
    command: [/bin/sh, -c, "grep -c 'BEGIN CERTIFICATE' /etc/ssl/certs/ca-certificates.crt; exec sleep 1000000"]
"#;

/// What mounts the other disks, and swaps to one without a key.
const OTHERS: &str = r#"
  - {name: mount-btrfs, image: "@pkg:../pkg/mount", command: [/usr/bin/mountie, -label, btrfs, /var/btrfs]}
  - {name: mount-xfs, image: "@pkg:../pkg/mount", command: [/usr/bin/mountie, -label, xfs, /var/xfs]}
  - {name: swap-plain, image: "@pkg:../pkg/swap", command: [/usr/bin/swap, --path, /var/xfs/plain, --size, 16M]}
"#;

/// Mounts what `crypto` has opened.
const MOUNT: &str = "  - name: mount-secret\n    image: \"@pkg:../pkg/mount\"\n    command: [/usr/bin/mountie, /dev/mapper/secret, /var/secret]\n";

/// More steps of `onboot`, in a file that `lkb build` takes.
fn steps(dir: &Path, name: &str, steps: &str) -> PathBuf {
    write(dir, name, &format!("onboot:\n{steps}"))
}

/// A file that `lkb build` takes.
fn write(dir: &Path, name: &str, yaml: &str) -> PathBuf {
    let path = dir.join(name);
    let text = yaml.replace("@pkg:..", &format!("@pkg:{}", root().display()));
    fs::write(&path, text).expect("writing the YAML");
    path
}

/// What follows this step in an example, and the step.
fn from_step<'t>(example: &'t str, name: &str) -> &'t str {
    let at = example.find(&format!("  - name: {name}\n")).expect("the step");
    &example[at..]
}

fn build(name: &str, yaml: &[PathBuf]) -> PathBuf {
    let minimal = root().join("examples/minimal.yml");
    let files: Vec<&Path> =
        [minimal.as_path()].into_iter().chain(yaml.iter().map(PathBuf::as_path)).collect();
    build_initrd_with(name, &[], &files)
}

#[test]
fn the_small_packages_do_what_their_readmes_show_and_a_grown_disk_is_used_to_its_end() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let disk = Disk::blank(dir.path(), 64);
    let setup = || Setup { disks: vec![disk.argument()], ..Setup::default() };

    let packages = ["sysfs", "sysctl", "modprobe", "dm-crypt", "swap", "kmsg", "poweroff"];
    let mut yaml: Vec<PathBuf> = packages.iter().map(|package| example(package, dir.path())).collect();
    let text = |name: &str| fs::read_to_string(dir.path().join(format!("{name}.yml"))).expect("the example");
    let (swap, crypt) = (text("swap"), text("dm-crypt"));
    for (whole, package) in [(&swap, "format"), (&swap, "mount"), (&crypt, "losetup")] {
        let step = fs::read_to_string(example(package, dir.path())).expect("the example");
        assert!(whole.contains(from_step(&step, package)), "another example begins with another {package}");
    }
    yaml.push(steps(dir.path(), "mount-secret.yml", MOUNT));
    yaml.push(show(dir.path(), FIRST));
    let mut vm = Vm::boot(&build("duties", &yaml), dir.path(), &setup());
    for (word, wanted) in [
        ("sysfs", &["sysfs 0", "[madvise]"][..]),
        ("sysctl", &["sysctl 1"]),
        ("modprobe", &["/sys/module/br_netfilter", "/sys/module/dummy"]),
        ("losetup", &["losetup /disk.img 65536"]),
        ("crypt", &["/dev/dm-0 /var/secret ext4", "on secret swapfile"]),
        ("swap", &["/dm-1 partition", "of /swap"]),
        ("mount", &["/dev/vda1 /var/lib/data ext4"]),
        ("kmsg", &["Linux version"]),
    ] {
        let line = said(&vm, word);
        assert!(wanted.iter().all(|part| line.contains(part)), "{wanted:?}: {line}");
    }
    // Nobody presses a button.
    vm.wait_off();
    assert!(!vm.console().text().contains("poweroff: still on"), "PID 1 did not power off");
    disk.assert_clean();

    disk.enlarge(192);
    let btrfs = Disk::holding(dir.path(), "gpt", "btrfs", 128);
    let xfs = Disk::holding(dir.path(), "dos", "xfs", 320);
    btrfs.enlarge(384);
    xfs.enlarge(448);
    let disks = [&disk, &btrfs, &xfs].map(Disk::argument).into();
    let again = steps(dir.path(), "again.yml", from_step(&swap, "swap"));
    let others = steps(dir.path(), "others.yml", OTHERS);
    let tls = write(dir.path(), "tls.yml", TLS);
    let [extend, busybox, authorities] =
        ["extend", "busybox", "ca-certificates"].map(|package| example(package, dir.path()));
    let yaml = [extend, busybox, authorities, again, others, tls, show(dir.path(), SECOND)];
    let mut vm = Vm::boot(&build("duties-again", &yaml), dir.path(), &Setup { disks, ..Setup::default() });
    let line = said(&vm, "swap");
    assert!(line.contains("/dm-0 partition") && line.contains("/swap"), "{line}");
    for (fs, least) in [("ext4", 150), ("btrfs", 380), ("xfs", 360)] {
        let line = said(&vm, fs);
        let megabytes = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).next();
        assert!(megabytes.is_some_and(|size| size > least), "the file system has not grown: {line}");
    }
    let line = said(&vm, "plain");
    assert!(line.contains("/plain file"), "{line}");
    let line = said(&vm, "busybox");
    assert!(line.contains("busybox a page"), "{line}");
    let line = said(&vm, "ca-certificates");
    let authorities = line.split_whitespace().next_back().and_then(|count| count.parse().ok());
    assert!(authorities.is_some_and(|count: u32| count > 100), "{line}");
    vm.press_power_button();
    vm.wait_off();
    disk.assert_clean();
    let table = btrfs.table();
    assert!(table.contains("label: gpt"), "{table}");
}
