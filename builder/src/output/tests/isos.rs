//! ISO images of whole builds: read back by others.

use std::process::Command;

use super::*;

fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output();
    let out = out.unwrap_or_else(|error| panic!("running {program}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{program}: {stdout}{stderr}");
    format!("{stdout}{stderr}")
}

fn build(formats: &[&str]) -> (tempfile::TempDir, Machine) {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = machine(&cache);
    let formats: Vec<_> = formats.iter().map(|name| format(name).unwrap()).collect();
    write(&machine, &cache, out.path(), NAME, sized(SIZE), &formats).unwrap();
    (out, machine)
}

/// The root's entries, `boot/` and what is in it left out.
fn listed(iso: &str) -> Vec<String> {
    let all = run("xorriso", &["-abort_on", "WARNING", "-indev", iso, "-find", "/"]);
    let mut paths: Vec<String> = all
        .lines()
        .filter_map(|line| Some(line.strip_prefix("'/")?.trim_end_matches('\'').to_owned()))
        .collect();
    paths.retain(|path| !path.is_empty() && !path.starts_with("boot"));
    paths.sort();
    paths
}

#[test]
fn images_for_either_firmware_say_so_and_have_the_machines_tree() {
    let (out, machine) = build(&["iso-bios", "iso-efi", "iso-hybrid", "iso-efi-initrd"]);
    let mut tree: Vec<String> =
        machine.root.iter().map(|(path, _)| String::from_utf8(path.clone()).unwrap()).collect();
    tree.sort();
    for (name, bios, efi, has_tree) in [
        ("machine.iso", true, false, true),
        ("machine-efi.iso", false, true, true),
        ("machine-hybrid.iso", true, true, true),
        ("machine-efi-initrd.iso", false, true, false),
    ] {
        let path = out.path().join(name);
        let iso = path.to_str().unwrap();
        let report =
            run("xorriso", &["-indev", iso, "-report_el_torito", "plain", "-report_system_area", "plain"]);
        assert_eq!(report.contains("BIOS  y   none"), bios, "{name}: {report}");
        assert_eq!(report.contains("UEFI  y   none"), efi, "{name}: {report}");
        let has = |what: &str| assert!(report.contains(what), "{name}: {what} is not in {report}");
        if bios {
            has("/boot/bios.img");
            has("grub2-boot-info");
        }
        if efi {
            has("/boot/efi.img");
            let table = run("sfdisk", &["--dump", iso]);
            assert!(table.contains("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"), "{table}");
            assert!(run("sfdisk", &["--verify", iso]).contains("No errors detected"));
            let system = out.path().join("system");
            run(
                "xorriso",
                &["-osirrox", "on", "-indev", iso, "-extract", "/boot/efi.img", system.to_str().unwrap()],
            );
            run("fsck.fat", &["-n", system.to_str().unwrap()]);
            fs::remove_file(system).unwrap();
        } else {
            assert!(run("sfdisk", &["--dump", iso]).contains("bootable"));
        }
        assert_eq!(listed(iso), if has_tree { tree.clone() } else { Vec::new() }, "{name}");
    }
}

#[test]
fn a_kernel_and_its_image_find_each_other_by_a_uuid_that_others_read_too() {
    let (out, machine) = build(&["kernel+iso"]);
    assert_eq!(names(out.path()), ["machine-cmdline", "machine-initrd.img", "machine-kernel", "machine.iso"]);
    let cmdline = fs::read_to_string(out.path().join("machine-cmdline")).unwrap();
    let iso = out.path().join("machine.iso");
    let uuid = run("blkid", &["-p", "-s", "UUID", "-o", "value", iso.to_str().unwrap()]);
    assert_eq!(cmdline, format!("console=ttyS0 root=UUID={}", uuid.trim()));
    assert_eq!(listed(iso.to_str().unwrap()).len(), machine.root.len());
    let (again, _) = build(&["kernel+iso"]);
    assert!(fs::read(&iso).unwrap() == fs::read(again.path().join("machine.iso")).unwrap());
}
