//! `containerd-shim-runc-v2 start`, as containerd calls it.

use std::io::pipe;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use crate::container::is_possible;

fn start(id: &str, bundle: &std::path::Path, answer: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_init"));
    command
        .arg0("containerd-shim-runc-v2")
        .args(["-namespace", "test", "-address", "/nowhere/containerd.sock", "-id", id, "start"])
        .current_dir(bundle)
        .stdin(Stdio::null())
        .stdout(answer);
    command.output().unwrap()
}

/// The numbers of the servers for a container of this id.
fn servers(id: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let serves = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == id.as_bytes())
    };
    numbers.filter(serves).collect()
}

#[test]
fn a_server_that_containerd_cannot_be_told_of_does_not_stay() {
    if !is_possible() {
        return;
    }
    let bundle = tempfile::tempdir().unwrap();
    let id = format!("untold-{}", std::process::id());
    let (reader, writer) = pipe().unwrap();
    // containerd has died.
    drop(reader);
    let output = start(&id, bundle.path(), writer.into());
    assert!(!output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot answer"), "{output:?}");
    assert_eq!(servers(&id), [0; 0]);
}

#[test]
fn a_server_that_containerd_is_told_of_serves() {
    if !is_possible() {
        return;
    }
    let bundle = tempfile::tempdir().unwrap();
    let id = format!("told-{}", std::process::id());
    let output = start(&id, bundle.path(), Stdio::piped());
    assert!(output.status.success(), "{output:?}");
    let [server] = servers(&id)[..] else { panic!("not one server: {:?}", servers(&id)) };
    let address = std::fs::read_to_string(bundle.path().join("address")).unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains(&address), "{output:?}");
    std::os::unix::net::UnixStream::connect(address.strip_prefix("unix://").unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(server), nix::sys::signal::Signal::SIGKILL).unwrap();
    std::fs::remove_file(address.strip_prefix("unix://").unwrap()).unwrap();
}
