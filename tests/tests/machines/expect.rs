//! `lkb run --expect`, as scripts use it.

use lk_tests::image::{build_initrd, run_lkb};
use lk_tests::{PATIENCE, root};

#[test]
fn a_machine_is_ended_when_its_console_has_shown_what_was_expected_and_told_when_not() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let machine = build_initrd("expected", &root().join("examples/minimal.yml"));
    let (machine, state) = (machine.to_str().expect("a UTF-8 path"), dir.path().join("state"));
    let patience = PATIENCE.as_secs().to_string();
    let run = |text: &str, timeout: &str| {
        let state = state.to_str().expect("a UTF-8 path");
        let args = ["run", "qemu", "--state", state, "--expect", text, "--timeout", timeout, machine];
        let out = run_lkb(&args);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned(), said)
    };
    let (code, console, said) = run("Welcome to LinuxKit", &patience);
    assert_eq!(code, Some(0), "{said}");
    assert!(console.contains("Welcome to LinuxKit"), "{console}");
    assert!(!state.join("qemu.pid").exists(), "QEMU has ended, and put its things away");

    let (code, _, said) = run("nobody says this", "2");
    assert_eq!(code, Some(1));
    assert!(said.contains("the console did not show \"nobody says this\" within 2 s; it"), "{said}");
    assert!(!state.join("qemu.pid").exists());
}
