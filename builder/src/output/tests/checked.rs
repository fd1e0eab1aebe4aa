//! Disks whose root is checked block by block, read back by cryptsetup.

use super::disks::{machine_on_disk, put, stretch};
use super::*;

const VERITY: &str = "lib/modules/6.1/kernel/drivers/md/dm-verity.ko";

/// A machine whose kernel has dm-verity as a module.
fn checked_machine(cache: &Cache) -> Machine {
    let mut machine = machine_on_disk(cache, false);
    let list = "lib/modules/6.1/modules.dep";
    let known = machine.root.file(list.as_bytes()).unwrap().read_all(1000).unwrap();
    let known = String::from_utf8(known).unwrap();
    put(&mut machine, list, &format!("{known}kernel/drivers/md/dm-verity.ko:\n"));
    put(&mut machine, VERITY, "module");
    machine
}

fn checked(file_system: FileSystem) -> Settings {
    Settings { root: Some(Root::Partition(file_system)), verity: true, ..sized(160 << 20) }
}

/// The partitions of a disk, as sfdisk has them.
fn partitions(disk: &Path) -> Vec<serde_json::Value> {
    let text = file_systems::run("sfdisk", &["--json", disk.to_str().unwrap()]);
    let table: serde_json::Value = serde_json::from_str(&text).unwrap();
    table["partitiontable"]["partitions"].as_array().unwrap().clone()
}

/// What follows a text in a file, up to a blank or zero.
fn word_behind(file: &[u8], text: &str) -> String {
    let at = file.windows(text.len()).position(|bytes| bytes == text.as_bytes()).unwrap() + text.len();
    let word = file[at..].split(|byte| matches!(byte, 0 | b' ')).next().unwrap();
    String::from_utf8(word.to_vec()).unwrap()
}

#[test]
fn root_and_hash_tree_have_partitions_that_the_root_hash_names_and_cryptsetup_verifies_them() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = checked_machine(&cache);
    let formats: [&dyn Format; 4] = [&RawEfi, &RawBios, &RawHybrid, &Qcow2Efi];
    for (file_system, name) in [(FileSystem::Squashfs, "squashfs"), (FileSystem::Erofs, "erofs")] {
        write(&machine, &cache, out.path(), NAME, checked(file_system), &formats).unwrap();
        // The command line can be read in the EFI program; GRUB's core image is compressed.
        let program = fs::read(out.path().join("machine-efi.img")).unwrap();
        let hash = word_behind(&program, &format!("rootfstype={name} ro roothash="));
        let root = word_behind(&program, "root=PARTUUID=");
        assert_eq!((hash.len(), root.replace('-', "")), (64, hash[..32].to_owned()));
        for (file, number) in [("efi", 1), ("bios", 2), ("hybrid", 2)] {
            let disk = out.path().join(format!("machine-{file}.img"));
            let partitions = partitions(&disk);
            assert_eq!(partitions.len(), number + 2, "{file}");
            let [data, tree] = [number, number + 1].map(|at| {
                let part = &partitions[at];
                let bytes = |key: &str| part[key].as_u64().unwrap() * 512;
                let id = part["uuid"].as_str().unwrap().to_lowercase().replace('-', "");
                let kind = part["type"].as_str().unwrap().to_owned();
                (stretch(&disk, bytes("start"), bytes("size")), id, kind)
            });
            assert_eq!((&data.1[..], &tree.1[..]), hash.split_at(32), "{file}");
            // x86-64's, as the machine's kernel is.
            assert!(
                data.2.starts_with("4F68BCE3") && tree.2.starts_with("2C7357ED"),
                "{} {}",
                data.2,
                tree.2
            );
            let [data, tree] = [data, tree].map(|part| part.0);
            let args = [data.path().to_str().unwrap(), tree.path().to_str().unwrap(), &hash];
            file_systems::run("veritysetup", &[&["verify"], &args[..]].concat());
        }
    }
}

#[test]
fn two_builds_of_a_checked_disk_are_equal() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = checked_machine(&cache);
    let [one, two] = [(); 2].map(|()| {
        write(&machine, &cache, out.path(), NAME, checked(FileSystem::Erofs), &[&RawEfi]).unwrap();
        fs::read(out.path().join("machine-efi.img")).unwrap()
    });
    assert!(one == two);
}

#[test]
fn what_cannot_be_checked_says_what_to_do() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let refused = |machine: &Machine, settings: Settings| {
        write(machine, &cache, out.path(), NAME, settings, &[&RawEfi]).unwrap_err()
    };
    for root in [None, Some(Root::Initrd)] {
        let settings = Settings { root, ..checked(FileSystem::Erofs) };
        let error = refused(&checked_machine(&cache), settings).to_string();
        assert!(error.contains("raw-efi") && error.contains("add --root squashfs"), "{error}");
    }
    let without = machine_on_disk(&cache, false);
    let OutputError::Disk { source, .. } = refused(&without, checked(FileSystem::Erofs)) else {
        panic!("another error")
    };
    assert!(source.to_string().contains("the kernel has no dm-verity"), "{source}");
    assert_eq!(names(out.path()), [""; 0]);
}

#[test]
fn a_kernel_that_mounts_the_root_by_itself_gets_a_first_stage_that_checks_it() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let mut machine = machine_on_disk(&cache, true);
    let list = "lib/modules/6.1/modules.builtin";
    let known = machine.root.file(list.as_bytes()).unwrap().read_all(1000).unwrap();
    let known = String::from_utf8(known).unwrap();
    put(&mut machine, list, &format!("{known}kernel/drivers/md/dm-verity.ko\n"));
    write(&machine, &cache, out.path(), NAME, checked(FileSystem::Squashfs), &[&RawEfi]).unwrap();
    let program = fs::read(out.path().join("machine-efi.img")).unwrap();
    assert_eq!(word_behind(&program, "rootfstype=squashfs ro roothash=").len(), 64);
    let waits = b"rootwait";
    assert!(!program.windows(waits.len()).any(|bytes| bytes == waits), "the kernel waits for nothing");
}
