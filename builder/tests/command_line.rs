//! The `lkb` command as a user meets it.

use std::path::Path;
use std::process::{Command, Output};

fn lkb(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lkb")).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn one_dash_and_two_dashes_are_the_same() {
    for args in [["run", "-publish", "nonsense", "m"], ["run", "--publish", "nonsense", "m"]] {
        let output = lkb(&args);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("'nonsense' for '--publish <PORTS>'"), "{}", stderr(&output));
    }
}

#[test]
fn an_unknown_option_is_answered_with_the_likely_one() {
    for option in ["--formt", "-nmae"] {
        let output = lkb(&["build", option, "x", "m.yml"]);
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(text.contains("a similar argument exists: '--"), "{text}");
    }
}

#[test]
fn errors_are_plain_when_nobody_looks_at_a_terminal() {
    let output = lkb(&["run", "/nonexistent/machine"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.starts_with("error: found nothing to boot: looked for /nonexistent/machine, "), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_cause_follows_its_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("m.raw"), b"").unwrap();
    std::fs::write(dir.path().join("state"), b"a file where a directory should be").unwrap();
    let [image, state] = ["m.raw", "state"].map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    let output = lkb(&["run", "-arch", "x86_64", "-state", &state, &image]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.starts_with("error: cannot make the state directory "), "{text}");
    assert!(text.lines().nth(1).unwrap().starts_with("caused by: "), "{text}");
}

#[test]
fn a_missing_qemu_names_its_package() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("m.raw");
    std::fs::write(&image, b"").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lkb"))
        .args([Path::new("run"), Path::new("--arch"), Path::new("x86_64"), &image])
        .env("PATH", dir.path())
        .output()
        .unwrap();
    let text = stderr(&output);
    assert!(text.contains("install the Debian package qemu-system-x86"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn other_architectures_are_refused_by_name() {
    let text = stderr(&lkb(&["run", "-arch", "riscv64", "m"]));
    assert!(text.contains("\"riscv64\""), "{text}");
}

#[test]
fn the_version_is_an_answer_on_standard_output() {
    let output = lkb(&["version", "-short"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), env!("CARGO_PKG_VERSION"));
    assert!(output.stderr.is_empty());
}
