//! The command line from the outside: [`Line::parse`] and what it answers.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use proptest::prelude::*;

use super::*;

fn parse(line: &str) -> Result<Command, ParseError> {
    Line::parse(line.split_whitespace().map(OsString::from)).map(|line| line.command)
}

#[test]
fn commands_are_read() {
    let cases = [
        (
            "run --bundle /c/000-a --exit-file /run/x 000-a",
            Command::Run { bundle: "/c/000-a".into(), id: "000-a".into(), exit_file: Some("/run/x".into()) },
        ),
        ("attach --pid 7 --bundle /c/a a", Command::Attach { bundle: "/c/a".into(), pid: 7, id: "a".into() }),
        ("volumes", Command::Volumes),
        ("release a b", Command::Release { ids: vec!["a".into(), "b".into()] }),
        ("kill a", Command::Kill { id: "a".into(), signal: 15, all: false }),
        ("list -q", Command::List { format: Format::Table, quiet: true }),
        ("update --resources - a", Command::Update { id: "a".into(), resources: "-".into() }),
    ];
    for (line, command) in cases {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
}

/// The calls of containerd 2.1's shim.
#[test]
fn what_gos_shim_says_to_runc_is_understood() {
    let global = "--root /run/containerd/runc/ns --log /b/log.json --log-format json";
    let cases = [
        (
            "create --bundle /b --pid-file /b/init.pid a",
            Command::Create {
                bundle: "/b".into(),
                id: "a".into(),
                console_socket: None,
                pid_file: Some("/b/init.pid".into()),
                prepare: false,
            },
        ),
        ("start a", Command::Start { id: "a".into() }),
        (
            "exec --process /tmp/runc-process1 --console-socket /t/pty.sock --detach --pid-file /b/1.pid a",
            Command::Exec(Exec {
                id: "a".into(),
                process: Some("/tmp/runc-process1".into()),
                detach: true,
                console_socket: Some("/t/pty.sock".into()),
                pid_file: Some("/b/1.pid".into()),
                ..Exec::default()
            }),
        ),
        ("ps --format json a", Command::Ps { id: "a".into(), format: Format::Json }),
        ("kill a 9", Command::Kill { id: "a".into(), signal: 9, all: false }),
        ("kill --all a 9", Command::Kill { id: "a".into(), signal: 9, all: true }),
        ("delete a", Command::Delete { id: "a".into(), force: false }),
        ("delete --force a", Command::Delete { id: "a".into(), force: true }),
    ];
    for (line, command) in cases {
        let words = format!("{global} {line}");
        let line = Line::parse(words.split_whitespace().map(OsString::from)).unwrap();
        assert_eq!(line.command, command);
        assert_eq!(
            line.global,
            Global { root: "/run/containerd/runc/ns".into(), log: Some("/b/log.json".into()), json: true }
        );
    }
}

#[test]
fn the_words_of_an_added_program_are_its_own() {
    for line in ["exec -t -u 5:6 -e A=b a -- ls -d --all", "exec -t -u 5:6 --env=A=b a ls -d --all"] {
        let Ok(Command::Exec(exec)) = parse(line) else { panic!("{line}") };
        assert_eq!(exec.args, ["ls", "-d", "--all"], "{line}");
        assert_eq!((exec.id.as_str(), exec.user, exec.tty), ("a", Some((5, Some(6))), true));
        assert_eq!(exec.env, ["A=b"]);
        assert!(!exec.detach);
    }
}

#[test]
fn a_path_is_what_was_given_even_if_it_is_no_text() {
    let path = OsStr::from_bytes(b"/c/\xff=x");
    let mut attached = OsString::from("--bundle=");
    attached.push(path);
    for words in [vec!["--bundle".into(), path.to_owned()], vec![attached]] {
        let line = ["prepare".into()].into_iter().chain(words).chain(["a".into()]);
        let command = Line::parse(line).map(|line| line.command);
        assert_eq!(command, Ok(Command::Prepare { bundle: path.into(), id: "a".into() }));
    }
}

#[test]
fn mistakes_are_named() {
    let cases = [
        ("", ParseError::Command(String::new())),
        ("run a", ParseError::Missing("--bundle")),
        ("run --bundle", ParseError::Value("--bundle".into())),
        ("run --bundle /c", ParseError::Missing("the container's id")),
        ("run --bundle /c a b", ParseError::Extra("b".into())),
        ("run --bundle /c ../a", ParseError::Id("../a".into())),
        ("run --systemd-cgroup a", ParseError::Option("--systemd-cgroup".into())),
        ("--systemd-cgroup create a", ParseError::Option("--systemd-cgroup".into())),
        ("attach --bundle /c --pid 0 a", ParseError::Pid("0".into())),
        ("kill a SIGNONSENSE", ParseError::Signal("SIGNONSENSE".into())),
        ("exec a", ParseError::Missing("the program")),
        ("exec -u root a ls", ParseError::BadValue { option: "--user", value: "root".into() }),
        ("events a", ParseError::Missing("--stats")),
        ("--log-format xml list", ParseError::BadValue { option: "--log-format", value: "xml".into() }),
    ];
    for (line, error) in cases {
        assert_eq!(parse(line), Err(error), "{line}");
    }
}

#[test]
fn ids_that_climb_are_refused() {
    for id in ["", ".", "..", "a/b", "-a", "ä", " "] {
        assert!(!valid_id(id), "{id:?}");
    }
    for id in ["a", "000-sysctl", "node_exporter.v1", "a+b"] {
        assert!(valid_id(id), "{id:?}");
    }
}

proptest! {
    #[test]
    fn any_words_are_a_command_or_a_mistake(words in prop::collection::vec("[-a-z=./0-9]{0,9}", 0..8)) {
        drop(Line::parse(words.into_iter().map(OsString::from)));
    }
}
