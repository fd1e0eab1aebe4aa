//! Disks of whole builds, in every format: read back by QEMU.

use super::super::convert::fixture::{info, qemu_img};
use super::*;

/// Builds one format in a directory of its own, and returns that and its one file.
fn build_one(name: &str, size: u64) -> Result<(tempfile::TempDir, PathBuf), OutputError> {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let built = write(&machine(&cache), &cache, out.path(), NAME, size, &[format(name).unwrap()])?;
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
    for name in ["aws", "qcow2-bios", "vhd", "dynamic-vhd", "vmdk"] {
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
        let error = write(&machine, &cache, &out, NAME, SIZE, formats).unwrap_err().to_string();
        assert!(!out.exists());
        error
    };
    let error = refused(&[&Vhd, &DynamicVhd]);
    for part in ["dynamic-vhd", "vhd makes machine.vhd", "--name"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(refused(&[&Tar, &KernelInitrd, &Tar]).contains("twice"));
}
