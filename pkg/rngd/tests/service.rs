//! The program as a service, on the kernel that the tests run on.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Whether this process may feed the pool (`CAP_SYS_ADMIN` is bit 21).
fn may_feed() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    u64::from_str_radix(effective, 16).unwrap() >> 21 & 1 == 1
}

fn rngd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rngd"));
    command.args(arguments).stderr(Stdio::piped());
    command
}

#[test]
fn a_service_says_its_source_and_ends_at_once_when_told_to() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut service = rngd(&[]).spawn().unwrap();
        let mut log = BufReader::new(service.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        assert!(line.starts_with("rngd: feeding the kernel from ") || line.contains("no source"), "{line}");
        if may_feed() {
            kill(Pid::from_raw(service.id().try_into().unwrap()), signal).unwrap();
        } else {
            log.read_to_string(&mut line).unwrap();
            assert!(line.contains("CAP_SYS_ADMIN"), "{line}");
        }
        assert_eq!(service.wait().unwrap().code(), Some(i32::from(!may_feed())));
    }
}

#[test]
fn nonsense_on_the_command_line_is_refused() {
    let output = rngd(&["-x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "rngd: unknown argument \"-x\": see rngd --help\n");
}
