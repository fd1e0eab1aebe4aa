//! Machines whose root is checked block by block (`lkb build --verity`).

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lk_tests::image::run_lkb;
use lk_tests::metadata::Instance;
use lk_tests::vm::{Setup, Vm, ssh_key};

/// What only the root has, and init prints at each boot.
const GREETING: &str = "Welcome to LinuxKit";

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Builds a BIOS disk with a checked root.
fn build(dir: &Path, yaml: &str, file_system: &str) -> PathBuf {
    let out = dir.to_str().expect("a UTF-8 path");
    let args = ["build", "--name", "m", "--dir", out, "--format", "raw-bios", "--root", file_system];
    let built = run_lkb(&[&args[..], &["--verity", yaml]].concat());
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    dir.join("m-bios.img")
}

/// Where a partition begins, by its name, in bytes.
fn start_of(disk: &Path, name: &str) -> u64 {
    let out = Command::new("/usr/sbin/sfdisk").arg("--json").arg(disk).output().expect("running sfdisk");
    let table: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON of sfdisk");
    let partitions = table["partitiontable"]["partitions"].as_array().expect("partitions");
    let partition = partitions.iter().find(|partition| partition["name"] == name);
    let start = partition.and_then(|partition| partition["start"].as_u64());
    start.unwrap_or_else(|| panic!("no partition {name}: {table}")) * 512
}

/// A copy of a disk with one bit changed.
fn with_changed_bit(disk: &Path, at: u64, to: &Path) {
    fs::copy(disk, to).expect("copying the disk");
    let file = File::options().read(true).write(true).open(to).expect("opening the copy");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("reading the byte");
    file.write_all_at(&[byte[0] ^ 1], at).expect("changing the byte");
}

/// Where a text is on a disk, behind a byte.
fn find(disk: &Path, from: u64, text: &str) -> u64 {
    let mut bytes = Vec::new();
    File::open(disk).and_then(|mut file| file.read_to_end(&mut bytes)).expect("reading the disk");
    let behind = bytes.get(usize::try_from(from).expect("a small disk")..).expect("a partition");
    let at = behind.windows(text.len()).position(|window| window == text.as_bytes());
    from + at.expect("the text") as u64
}

#[test]
fn a_machine_boots_from_a_checked_root_and_serves() {
    let dir = directory();
    let (key, public) = ssh_key(dir.path());
    let disk = build(dir.path(), "examples/ldap.yml", "squashfs");
    let cloud = Instance { name: "root".into(), user_data: None, keys: vec![("k".into(), public)] };
    let mut vm = Vm::boot(&disk, dir.path(), &Setup { cloud: Some(cloud), ..Setup::default() });
    vm.wait(GREETING);
    assert!(vm.search("dc=example,dc=org", "password").contains("o: Example"), "LDAP does not serve");
    let mounts = vm.guest(&key, "cat /proc/1/mountinfo");
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).expect("a root");
    assert!(root.contains(" - squashfs /dev/dm-0 "), "{root}");
    assert_eq!(vm.guest(&key, "cat /sys/block/dm-0/dm/name /sys/block/dm-0/ro"), "root\n1\n");
    vm.press_power_button();
    vm.wait_off();
}

#[test]
fn a_changed_bit_of_root_tree_or_superblock_is_said_and_nothing_of_the_root_runs() {
    let dir = directory();
    let disk = build(dir.path(), "examples/minimal.yml", "erofs");
    let (root, tree) = (start_of(&disk, "lkb root"), start_of(&disk, "lkb root verity"));
    let corrupted = ["is corrupted", "Kernel panic - not syncing: dm-verity device corrupted"];
    let cases = [
        // Whatever is mounted reads the superblock.
        ("superblock", root + 1024, &corrupted[..]),
        // Of a text that is not compressed: unchecked, it would be shown as it is.
        ("greeting", find(&disk, root, GREETING), &corrupted),
        // The top of the tree, which the root hash is the digest of.
        ("tree", tree + 4096, &corrupted),
        ("signature", tree, &["cannot go on: cannot check /dev/vda3", "it holds no hash tree of dm-verity"]),
        // Another salt is another root hash.
        ("salt", tree + 88, &corrupted),
    ];
    for (what, at, said) in cases {
        let changed = dir.path().join(format!("{what}.img"));
        with_changed_bit(&disk, at, &changed);
        let state = dir.path().join(what);
        fs::create_dir(&state).expect("making a directory");
        let vm = Vm::boot(&changed, &state, &Setup::default());
        for text in said {
            vm.wait(text);
        }
        let console = vm.console().text();
        // One letter of it is another one where that is what was changed.
        assert!(!console.contains(GREETING) && !console.contains("elcome to LinuxKit"), "{what}: {console}");
        drop(vm);
        fs::remove_file(&changed).expect("removing the disk");
    }
}
