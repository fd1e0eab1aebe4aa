//! Every format that boots, booted.

use lk_tests::image::run_lkb;
use lk_tests::vm::{Setup, Vm};

/// What `lkb run` is given for each format that `lkb build` wrote under the name `minimal`.
const BIOS: [(&str, &str); 7] = [
    ("kernel+initrd", "minimal"),
    ("raw-bios", "minimal-bios.img"),
    ("qcow2-bios", "minimal.qcow2"),
    ("aws", "minimal.raw"),
    ("vmdk", "minimal.vmdk"),
    ("vhd", "minimal.vhd"),
    ("raw-hybrid", "minimal-hybrid.img"),
];
const EFI: [(&str, &str); 4] = [
    ("raw-efi", "minimal-efi.img"),
    ("qcow2-efi", "minimal-efi.qcow2"),
    ("raw-hybrid", "minimal-hybrid.img"),
    ("uki", "minimal.efi"),
];

#[test]
fn every_format_for_bios_boots_to_the_supervisor_and_goes_off_at_the_power_button() {
    boot_each(&BIOS, &Setup::default());
}

#[test]
fn every_format_for_efi_boots_to_the_supervisor_and_goes_off_at_the_power_button() {
    boot_each(&EFI, &Setup { uefi: true, ..Setup::default() });
}

fn boot_each(formats: &[(&str, &str)], setup: &Setup) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let names: Vec<&str> = formats.iter().map(|(format, _)| *format).collect();
    let out = dir.path().to_str().expect("a UTF-8 path");
    let names = names.join(",");
    let args = ["build", "--format", &names, "--name", "minimal", "--dir", out, "examples/minimal.yml"];
    let built = run_lkb(&args);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for (format, path) in formats {
        println!("booting {format}");
        let state = dir.path().join(format);
        std::fs::create_dir(&state).expect("a directory");
        let mut vm = Vm::boot(&dir.path().join(path), &state, setup);
        vm.wait("Welcome to LinuxKit");
        vm.wait("onboot ended");
        vm.press_power_button();
        vm.wait_off();
    }
}
