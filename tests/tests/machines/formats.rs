//! Every format that boots, booted.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use lk_tests::PATIENCE;
use lk_tests::console::Console;
use lk_tests::image::run_lkb;
use lk_tests::own_kernel;
use lk_tests::vm::{Setup, Vm};

/// What `lkb run` is given for each format that `lkb build` wrote under the name `minimal`. What ends in `.iso.img` is a CD image on
/// a disk.
const BIOS: [(&str, &str); 11] = [
    ("kernel+initrd", "minimal"),
    ("raw-bios", "minimal-bios.img"),
    ("qcow2-bios", "minimal.qcow2"),
    ("aws", "minimal.raw"),
    ("vmdk", "minimal.vmdk"),
    ("vhd", "minimal.vhd"),
    ("vhdx", "minimal.vhdx"),
    ("raw-hybrid", "minimal-hybrid.img"),
    ("iso-bios", "minimal.iso"),
    ("iso-bios", "minimal.iso.img"),
    ("iso-hybrid", "minimal-hybrid.iso.img"),
];
const EFI: [(&str, &str); 7] = [
    ("raw-efi", "minimal-efi.img"),
    ("qcow2-efi", "minimal-efi.qcow2"),
    ("raw-hybrid", "minimal-hybrid.img"),
    ("uki", "minimal.efi"),
    ("iso-efi", "minimal-efi.iso"),
    ("iso-hybrid", "minimal-hybrid.iso.img"),
    ("iso-efi-initrd", "minimal-efi-initrd.iso"),
];

#[test]
fn every_format_for_bios_boots_to_the_supervisor_and_goes_off_at_the_power_button() {
    boot_each(&BIOS, &Setup::default());
}

#[test]
fn every_format_for_efi_boots_to_the_supervisor_and_goes_off_at_the_power_button() {
    boot_each(&EFI, &Setup { uefi: true, ..Setup::default() });
}

#[test]
fn a_kernel_finds_the_image_with_its_root_that_lies_beside_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    build(dir.path(), "kernel+iso");
    boot(&dir.path().join("minimal"), dir.path(), &Setup::default());
}

/// Firecracker needs KVM; QEMU's own machine of this kind enters the kernel by the same protocol (PVH), and needs it unpacked.
#[test]
fn what_firecracker_is_given_boots_on_a_machine_without_firmware() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    build(dir.path(), "firecracker");
    let config = std::fs::read(dir.path().join("minimal-firecracker.json")).expect("the configuration");
    let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
    let of = |key: &str| config["boot-source"][key].as_str().expect("a text");
    let qemu = Command::new("qemu-system-x86_64")
        .current_dir(dir.path())
        .args(["-machine", "microvm,acpi=off", "-accel", "tcg", "-cpu", "max", "-m", "1024M", "-nodefaults"])
        .args(["-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"])
        .args(["-kernel", of("kernel_image_path"), "-initrd", of("initrd_path"), "-append", of("boot_args")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starting QEMU");
    let mut qemu = Ended(qemu);
    let console = Console::reading(qemu.0.stdout.take().expect("its output"));
    console.wait("onboot ended", PATIENCE);
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself; nobody waits for what it says.
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

#[test]
fn disks_boot_from_a_root_in_a_partition_by_bios_and_by_efi() {
    for (root, format, file, uefi) in
        [("squashfs", "raw-bios", "minimal-bios.img", false), ("erofs", "raw-efi", "minimal-efi.img", true)]
    {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // A kernel that is told to be quiet keeps from the console where the root is.
        let loud = dir.path().join("loud.yml");
        std::fs::write(&loud, "kernel:\n  cmdline: console=ttyS0\n").expect("writing a configuration");
        build_with(&["--root", root], dir.path(), format, &[loud.to_str().expect("a UTF-8 path")]);
        let setup = Setup { uefi, ..Setup::default() };
        let vm = Vm::boot(&dir.path().join(file), dir.path(), &setup);
        // Our own kernel mounts it by itself.
        let (said, by_name) = if own_kernel::chosen().is_some() {
            ("VFS: Mounted root", "")
        } else {
            ("/ is /dev/vda", "lkb root")
        };
        let line = vm.wait(said);
        assert!(line.contains(root) && line.contains(by_name), "{line}");
        go_on(vm);
    }
}

/// zstd is what all others boot with.
#[test]
fn a_kernel_unpacks_initrds_of_every_compression() {
    for compression in ["gzip", "lz4", "none"] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        build_with(&["--compress", compression], dir.path(), "kernel+initrd", &[]);
        println!("booting {compression}");
        boot(&dir.path().join("minimal"), dir.path(), &Setup::default());
    }
}

fn boot_each(formats: &[(&str, &str)], setup: &Setup) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut names: Vec<&str> = formats.iter().map(|(format, _)| *format).collect();
    names.dedup();
    build(dir.path(), &names.join(","));
    for (format, path) in formats {
        println!("booting {format}: {path}");
        let image = dir.path().join(path);
        if let Some(iso) = path.strip_suffix(".img").filter(|path| path.ends_with(".iso")) {
            std::fs::hard_link(dir.path().join(iso), &image).expect("another name for the image");
        }
        let state = dir.path().join(format!("{path}-machine"));
        std::fs::create_dir(&state).expect("a directory");
        boot(&image, &state, setup);
    }
}

/// Builds the least machine in these formats.
fn build(dir: &Path, formats: &str) {
    build_with(&[], dir, formats, &[]);
}

fn build_with(options: &[&str], dir: &Path, formats: &str, more: &[&str]) {
    let out = dir.to_str().expect("a UTF-8 path");
    let args = ["build", "--format", formats, "--name", "minimal", "--dir", out, "examples/minimal.yml"];
    let built = run_lkb(&[&args[..], more, options].concat());
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// Boots it, and powers it off.
fn boot(image: &Path, state: &Path, setup: &Setup) {
    go_on(Vm::boot(image, state, setup));
}

fn go_on(mut vm: Vm) {
    vm.wait("Welcome to LinuxKit");
    vm.wait("onboot ended");
    vm.press_power_button();
    vm.wait_off();
}
