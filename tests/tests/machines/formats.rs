//! Every format that boots, booted.

use lk_tests::image::run_lkb;
use lk_tests::vm::{Setup, Vm};

/// What `lkb run` is given for each format that `lkb build` wrote under the name `minimal`.
const FORMATS: [(&str, &str); 3] =
    [("kernel+initrd", "minimal"), ("raw-bios", "minimal-bios.img"), ("qcow2-bios", "minimal.qcow2")];

#[test]
fn every_format_boots_to_the_supervisor_and_goes_off_at_the_power_button() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let formats = FORMATS.map(|(format, _)| format).join(",");
    let out = dir.path().to_str().expect("a UTF-8 path");
    let args = ["build", "--format", &formats, "--name", "minimal", "--dir", out, "examples/minimal.yml"];
    let built = run_lkb(&args);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for (format, path) in FORMATS {
        println!("booting {format}");
        let state = dir.path().join(format);
        std::fs::create_dir(&state).expect("a directory");
        let mut vm = Vm::boot(&dir.path().join(path), &state, &Setup::default());
        vm.wait("Welcome to LinuxKit");
        vm.wait("onboot ended");
        vm.press_power_button();
        vm.wait_off();
    }
}
