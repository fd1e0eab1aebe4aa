//! `lkb run qemu --boot-chart` around a QEMU that is not one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Finds the socket of the port, says what `$SAYS` has, and then ends as `$THEN` says.
const QEMU: &str = r#"#!/bin/bash
trap 'exit 7' TERM
socket=$(printf '%s\n' "$@" | sed -n 's/^socket,id=boot,fd=//p')
printf '%s\n' "$SAYS" >&"$socket"
[ "$THEN" = end ] && exit 3
while :; do sleep 0.05; done
"#;
const TIMELINE: &str =
    r#"{"version":1,"steps":[{"name":"kernel","kind":"kernel","start":0,"end":1.5,"outcome":"ok"}]}"#;

/// A program that somebody is still writing cannot be run, and a child of another test has what we are writing.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn machine(dir: &Path, says: &str, then: &str) -> Command {
    for file in ["m-kernel", "m-initrd.img", "m-cmdline"] {
        fs::write(dir.join(file), "").unwrap();
    }
    let qemu = dir.join("qemu-system-x86_64");
    fs::write(&qemu, QEMU).unwrap();
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_lkb"));
    command.args(["run", "qemu", "--accel", "tcg", "--arch", "x86_64", "--networking", "none"]);
    command.args(["--boot-chart", "boot.svg", "m"]).current_dir(dir);
    command.env("PATH", path).env("SAYS", says).env("THEN", then);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_chart_is_there_while_the_machine_runs_and_signals_reach_qemu() {
    let _alone = ONE_AT_A_TIME.lock();
    let dir = tempfile::tempdir().unwrap();
    let child = machine(dir.path(), TIMELINE, "run").spawn().unwrap();
    let chart = dir.path().join("boot.svg");
    let begun = Instant::now();
    while !chart.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no chart");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(fs::read_to_string(&chart).unwrap().contains(">Boot: 1.500 s<"));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", words(&output));
    assert!(words(&output).contains("boot chart: boot.svg"), "{}", words(&output));
}

#[test]
fn a_machine_that_says_nothing_is_told_and_ends_as_qemu_does() {
    let _alone = ONE_AT_A_TIME.lock();
    let dir = tempfile::tempdir().unwrap();
    let output = machine(dir.path(), "login:", "end").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", words(&output));
    assert!(words(&output).contains("there is no chart"), "{}", words(&output));
    assert!(!dir.path().join("boot.svg").exists());
}
