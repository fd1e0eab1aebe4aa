//! Disks of whole builds, in every format: read back by QEMU.

use super::super::convert::fixture::{info, qemu_img};
use super::*;

/// Builds one format in a directory of its own, and returns that and its one file.
fn build_one(name: &str, size: u64) -> Result<(tempfile::TempDir, PathBuf), OutputError> {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let built = write(&machine(&cache), &cache, out.path(), NAME, sized(size), &[format(name).unwrap()])?;
    let [file] = &built.files[..] else { panic!("{name} makes one file") };
    assert_eq!(names(out.path()), [file.file_name().unwrap().to_str().unwrap()]);
    Ok((out, file.clone()))
}

#[test]
fn every_disk_format_has_the_same_disk_in_the_size_that_was_asked_for() {
    let (_raw_dir, raw) = build_one("aws", SIZE).unwrap();
    assert!(raw.ends_with("machine.raw"));
    for (name, file, qemu) in [
        ("aws", "machine.raw", "raw"),
        ("qcow2-bios", "machine.qcow2", "qcow2"),
        ("vhd", "machine.vhd", "vpc"),
        ("dynamic-vhd", "machine.vhd", "vpc"),
        ("vhdx", "machine.vhdx", "vhdx"),
        ("vmdk", "machine.vmdk", "vmdk"),
    ] {
        let (_dir, path) = build_one(name, SIZE).unwrap();
        assert!(path.ends_with(file), "{}", path.display());
        assert_eq!(info(qemu, &path)["virtual-size"], SIZE, "{name}");
        qemu_img(&["compare", "-q", "-f", "raw", "-F", qemu], &[&raw, &path]);
        let (_dir, again) = build_one(name, SIZE).unwrap();
        assert!(fs::read(path).unwrap() == fs::read(again).unwrap(), "two builds of {name} differ");
    }
}

#[test]
fn what_a_cloud_counts_in_larger_units_is_rounded_up() {
    let (_dir, raw) = build_one("aws", SIZE + 512).unwrap();
    assert_eq!(fs::metadata(raw).unwrap().len(), SIZE + (1 << 20));
    let (_dir, vhd) = build_one("vhd", SIZE + 512).unwrap();
    assert_eq!(fs::metadata(vhd).unwrap().len(), SIZE + (1 << 20) + 512);
    let (_dir, vhd) = build_one("dynamic-vhd", SIZE + 512).unwrap();
    assert_eq!(info("vpc", &vhd)["virtual-size"], SIZE + (1 << 20));
    let (_dir, vhdx) = build_one("vhdx", SIZE + 512).unwrap();
    assert_eq!(info("vhdx", &vhdx)["virtual-size"], SIZE + (1 << 20));
}

#[test]
fn an_archive_for_gcp_has_a_disk_of_whole_gibibytes_that_boots_as_the_others_do() {
    let (_dir, path) = build_one("gcp", SIZE).unwrap();
    assert!(path.ends_with("machine.img.tar.gz"));
    let mut archive = ::tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(&path).unwrap()));
    let mut entries = archive.entries().unwrap();
    let mut disk = entries.next().unwrap().unwrap();
    assert_eq!(disk.path_bytes(), &b"disk.raw"[..]);
    assert_eq!(disk.size(), 1 << 30);
    let (_raw_dir, raw) = build_one("aws", 1 << 30).unwrap();
    let mut raw = fs::File::open(raw).unwrap();
    let [mut one, mut two] = [(); 2].map(|()| vec![0; 1 << 20]);
    for mebibyte in 0..1024 {
        disk.read_exact(&mut one).unwrap();
        raw.read_exact(&mut two).unwrap();
        assert!(one == two, "MiB {mebibyte} differs");
    }
}

#[test]
fn a_disk_that_is_too_small_is_an_error_of_every_format_that_says_what_is_needed() {
    for name in ["aws", "qcow2-bios", "vhd", "dynamic-vhd", "vhdx", "vmdk"] {
        let error = build_one(name, 1 << 20).unwrap_err();
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains(name) && reason.contains("--size"), "{error}: {reason}");
    }
}

#[test]
fn formats_of_one_file_name_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let machine = machine(&cache);
    let out = dir.path().join("out");
    let refused = |formats: &[&dyn Format]| {
        let error = write(&machine, &cache, &out, NAME, sized(SIZE), formats).unwrap_err().to_string();
        assert!(!out.exists());
        error
    };
    let error = refused(&[&Vhd, &DynamicVhd]);
    for part in ["dynamic-vhd", "vhd makes machine.vhd", "--name"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(refused(&[&Tar, &KernelInitrd, &Tar]).contains("twice"));
}

/// A machine with our init, a kernel whose drivers are modules or not, and a file that is on no first stage.
pub(super) fn machine_on_disk(cache: &Cache, built_in: bool) -> Machine {
    let mut machine = machine(cache);
    let modules =
        "kernel/fs/squashfs/squashfs.ko\nkernel/fs/erofs/erofs.ko\nkernel/drivers/block/virtio_blk.ko\n";
    let (list, text) = if built_in {
        ("modules.builtin", modules.to_owned())
    } else {
        let mut put = |path: &str| put(&mut machine, &format!("lib/modules/6.1/{path}"), "module");
        modules.lines().for_each(&mut put);
        ("modules.dep", modules.replace('\n', ":\n"))
    };
    put(&mut machine, &format!("lib/modules/6.1/{list}"), &text);
    put(&mut machine, "init", "init");
    // A capability that Linux takes.
    let mut ping = machine.root.get(b"bin/ping").unwrap().clone();
    ping.xattrs.insert(b"security.capability".to_vec(), file_systems::CAPABILITY.to_vec());
    machine.root.insert(b"bin/ping", ping).unwrap();
    machine
}

pub(super) fn put(machine: &mut Machine, path: &str, text: &str) {
    let node = Node::file(text.as_bytes(), 0o755, &origin(Location::Init(0)));
    machine.root.insert(path.as_bytes(), node).unwrap();
}

/// The partitions of a disk: start and length in bytes, and the GUID.
fn partitions(disk: &Path) -> Vec<(u64, u64, String)> {
    let text = file_systems::run("sfdisk", &["--json", disk.to_str().unwrap()]);
    let table: serde_json::Value = serde_json::from_str(&text).unwrap();
    let number = |value: &serde_json::Value| value.as_u64().unwrap() * 512;
    let partitions = table["partitiontable"]["partitions"].as_array().unwrap().iter();
    partitions
        .map(|one| {
            let id = one["uuid"].as_str().unwrap().to_lowercase();
            (number(&one["start"]), number(&one["size"]), id)
        })
        .collect()
}

pub(super) fn stretch(disk: &Path, start: u64, len: u64) -> tempfile::NamedTempFile {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    fs::File::open(disk).unwrap().read_exact_at(&mut bytes, start).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    file
}

#[test]
fn a_disk_with_a_root_partition_boots_a_first_stage_that_names_it() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = machine_on_disk(&cache, false);
    let root = Some(Root::Partition(FileSystem::Squashfs));
    let settings = Settings { root, ..sized(160 << 20) };
    let formats: [&dyn Format; 4] = [&RawBios, &RawEfi, &RawHybrid, &Qcow2Bios];
    write(&machine, &cache, out.path(), NAME, settings, &formats).unwrap();
    let mut ids = Vec::new();
    for (file, number) in [("bios", 2), ("efi", 1), ("hybrid", 2)] {
        let disk = out.path().join(format!("{NAME}-{file}.img"));
        let partitions = partitions(&disk);
        let (start, len, id) = &partitions[number];
        assert_eq!(partitions.len(), number + 1, "{file}");
        let image = stretch(&disk, *start, *len);
        let unpacked = tempfile::tempdir().unwrap();
        let to = unpacked.path().join("root");
        file_systems::run("unsquashfs", &["-dest", to.to_str().unwrap(), image.path().to_str().unwrap()]);
        file_systems::assert_same(
            &file_systems::listing_of_directory(&to),
            &file_systems::listing(&machine.root),
        );
        let (start, len, _) = &partitions[number - 1];
        let boot = stretch(&disk, *start, *len);
        let files = fatfs::FileSystem::new(boot.as_file(), fatfs::FsOptions::new()).unwrap();
        let mut found = Vec::new();
        let name = if file == "bios" { "initrd.img" } else { "EFI/BOOT/BOOTX64.EFI" };
        files.root_dir().open_file(name).unwrap().read_to_end(&mut found).unwrap();
        assert!(found.len() < 1 << 20, "{file}: the first stage is small");
        ids.push(id.clone());
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "one root, one identity: {ids:?}");
    // The command line lies in GRUB's compressed core image and in the EFI program; there it can be read.
    let program = fs::read(out.path().join(format!("{NAME}-efi.img"))).unwrap();
    let cmdline = format!("console=ttyS0 root=PARTUUID={} rootfstype=squashfs ro", ids[0]);
    assert!(program.windows(cmdline.len()).any(|bytes| bytes == cmdline.as_bytes()), "{cmdline}");
}

#[test]
fn a_kernel_that_mounts_squashfs_by_itself_gets_it_without_being_asked() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let build = |machine: &Machine, root: Option<Root>| {
        write(machine, &cache, out.path(), NAME, Settings { root, ..sized(0) }, &[&RawEfi]).unwrap();
        partitions(&out.path().join("machine-efi.img")).len()
    };
    assert_eq!(build(&machine_on_disk(&cache, true), None), 2);
    assert_eq!(build(&machine_on_disk(&cache, true), Some(Root::Initrd)), 1);
    assert_eq!(build(&machine_on_disk(&cache, false), None), 1);
    assert_eq!(build(&machine_on_disk(&cache, false), Some(Root::Partition(FileSystem::Erofs))), 2);
}

#[test]
fn a_kernel_and_a_root_are_files_with_a_first_stage_or_an_initrd_without_files() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let read = |name: &str| fs::read(out.path().join(format!("{NAME}-{name}"))).unwrap();
    let build = |built_in: bool, format: &dyn Format| {
        let machine = machine_on_disk(&cache, built_in);
        write(&machine, &cache, out.path(), NAME, sized(0), &[format]).unwrap();
        String::from_utf8(read("cmdline")).unwrap()
    };
    assert_eq!(build(false, &KernelSquashfs), "console=ttyS0 root=/dev/vda rootfstype=squashfs ro");
    assert_eq!(read("squashfs.img")[..4], *b"hsqs");
    let stage: Vec<String> =
        unpack(&read("initrd.img")[8..]).iter().flat_map(|archive| archive.keys().cloned()).collect();
    assert!(
        stage.contains(&"init".to_owned()) && !stage.iter().any(|name| name.starts_with("bin")),
        "{stage:?}"
    );
    assert!(stage.iter().any(|name| name.ends_with("squashfs.ko")), "{stage:?}");
    assert!(!stage.iter().any(|name| name.ends_with("erofs.ko")), "{stage:?}");
    assert_eq!(build(true, &KernelErofs), "console=ttyS0 root=/dev/vda rootfstype=erofs ro rootwait");
    assert_eq!(read("erofs.img")[1024..1028], 0xE0F5_E1E2_u32.to_le_bytes());
    assert_eq!(parse(&read("initrd.img")[8..]).len(), 0, "the microcode, and no file");
}

#[test]
fn a_format_without_partitions_and_a_machine_without_init_say_what_to_do() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let refused = |machine: &Machine, format: &dyn Format| {
        let root = Some(Root::Partition(FileSystem::Erofs));
        let settings = Settings { root, ..sized(SIZE) };
        write(machine, &cache, out.path(), NAME, settings, &[format]).unwrap_err()
    };
    let error = refused(&machine_on_disk(&cache, false), &KernelInitrd).to_string();
    assert!(error.contains("kernel+initrd") && error.contains("kernel+erofs"), "{error}");
    let mut without = machine(&cache);
    without.root.remove(b"init");
    let OutputError::Disk { source, .. } = refused(&without, &RawEfi) else { panic!("another error") };
    assert!(source.to_string().contains("add the init package"), "{source}");
    assert_eq!(names(out.path()), [""; 0]);
}
