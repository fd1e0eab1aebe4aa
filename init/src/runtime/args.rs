//! The runtime's command line, as a value.

use std::ffi::OsString;
use std::path::PathBuf;

/// Printed with every mistake on the command line.
pub const USAGE: &str = "usage: init runtime run --bundle DIR [--exit-file FILE] ID
       init runtime prepare --bundle DIR ID
       init runtime attach --bundle DIR --pid PID ID
       init runtime cover-dev --bundle DIR ID
       init runtime volumes
       init runtime release [ID...]";

/// What the runtime is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Prepare, create, start, wait, take down.
    Run {
        /// The container's directory.
        bundle: PathBuf,
        /// The container's id.
        id: String,
        /// Where the outcome is written, for one who is not our parent.
        exit_file: Option<PathBuf>,
    },
    /// Make the mounts, directories and cgroups of `runtime.json`; nothing when that was done before.
    Prepare {
        /// The container's directory.
        bundle: PathBuf,
        /// The container's id.
        id: String,
    },
    /// Give network interfaces to, and bind the namespaces of, a created container.
    Attach {
        /// The container's directory.
        bundle: PathBuf,
        /// The container's first process.
        pid: i32,
        /// The container's id.
        id: String,
    },
    /// As a hook: mount the host's `/dev` over the container's.
    CoverDev {
        /// The bundle that libcontainer was given.
        bundle: PathBuf,
        /// The container's id.
        id: String,
    },
    /// Mount all volumes.
    Volumes,
    /// Unmount what was prepared.
    Release {
        /// The containers' ids; none means all, volumes last.
        ids: Vec<String>,
    },
}

/// Why a command line was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No command, or none of ours.
    #[error("unknown command {0:?}")]
    Command(String),
    /// An option that the command does not have.
    #[error("unknown option {0:?}")]
    Option(String),
    /// An option without its value.
    #[error("option {0} needs a value")]
    Value(&'static str),
    /// Something that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// More ids than the command takes.
    #[error("{0:?} is one argument too many")]
    Extra(String),
    /// An id that cannot be a file name, a cgroup and a containerd id at once.
    #[error(
        "container id {0:?} may only have letters, digits, '.', '_', '-', '+', and must begin with a letter or digit"
    )]
    Id(String),
    /// Not a process id.
    #[error("process id {0:?} is not a positive number")]
    Pid(String),
}

impl Command {
    /// Reads the words after `runtime`.
    pub fn parse<I: IntoIterator<Item = OsString>>(args: I) -> Result<Self, ParseError> {
        let mut args = args.into_iter();
        let command = args.next().unwrap_or_default();
        let (mut bundle, mut exit_file, mut pid, mut ids) = (None, None, None, Vec::new());
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--bundle" | "-b") => {
                    bundle = Some(PathBuf::from(args.next().ok_or(ParseError::Value("--bundle"))?));
                }
                Some("--exit-file") => {
                    exit_file = Some(PathBuf::from(args.next().ok_or(ParseError::Value("--exit-file"))?));
                }
                Some("--pid") => pid = Some(parse_pid(&args.next().ok_or(ParseError::Value("--pid"))?)?),
                Some(word) if word.starts_with('-') => return Err(ParseError::Option(word.to_owned())),
                Some(word) if valid_id(word) => ids.push(word.to_owned()),
                _ => return Err(ParseError::Id(arg.to_string_lossy().into_owned())),
            }
        }
        let need_bundle = |bundle: Option<PathBuf>| bundle.ok_or(ParseError::Missing("--bundle"));
        match command.to_str() {
            Some("run") => Ok(Self::Run { bundle: need_bundle(bundle)?, id: only(ids)?, exit_file }),
            Some("prepare") => Ok(Self::Prepare { bundle: need_bundle(bundle)?, id: only(ids)? }),
            Some("cover-dev") => Ok(Self::CoverDev { bundle: need_bundle(bundle)?, id: only(ids)? }),
            Some("attach") => Ok(Self::Attach {
                bundle: need_bundle(bundle)?,
                pid: pid.ok_or(ParseError::Missing("--pid"))?,
                id: only(ids)?,
            }),
            Some("volumes") => match ids.into_iter().next() {
                None => Ok(Self::Volumes),
                Some(extra) => Err(ParseError::Extra(extra)),
            },
            Some("release") => Ok(Self::Release { ids }),
            _ => Err(ParseError::Command(command.to_string_lossy().into_owned())),
        }
    }

    /// The container that errors are about.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::Run { id, .. }
            | Self::Prepare { id, .. }
            | Self::Attach { id, .. }
            | Self::CoverDev { id, .. } => id.clone(),
            Self::Volumes => "volumes".to_owned(),
            Self::Release { .. } => "runtime".to_owned(),
        }
    }
}

/// Whether `id` can be a directory, a cgroup and a containerd id at once.
#[must_use]
pub fn valid_id(id: &str) -> bool {
    id.len() <= 76
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'))
}

fn only(ids: Vec<String>) -> Result<String, ParseError> {
    let mut ids = ids.into_iter();
    let first = ids.next().ok_or(ParseError::Missing("the container's id"))?;
    match ids.next() {
        None => Ok(first),
        Some(extra) => Err(ParseError::Extra(extra)),
    }
}

fn parse_pid(word: &OsString) -> Result<i32, ParseError> {
    let text = word.to_string_lossy();
    match text.parse::<i32>() {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(ParseError::Pid(text.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, ParseError> {
        Command::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(
            parse("run --bundle /c/000-a --exit-file /run/x 000-a"),
            Ok(Command::Run {
                bundle: "/c/000-a".into(),
                id: "000-a".into(),
                exit_file: Some("/run/x".into())
            })
        );
        assert_eq!(
            parse("attach --pid 7 --bundle /c/a a"),
            Ok(Command::Attach { bundle: "/c/a".into(), pid: 7, id: "a".into() })
        );
        assert_eq!(parse("volumes"), Ok(Command::Volumes));
        assert_eq!(parse("release a b"), Ok(Command::Release { ids: vec!["a".into(), "b".into()] }));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("", ParseError::Command(String::new())),
            ("run a", ParseError::Missing("--bundle")),
            ("run --bundle", ParseError::Value("--bundle")),
            ("run --bundle /c", ParseError::Missing("the container's id")),
            ("run --bundle /c a b", ParseError::Extra("b".into())),
            ("run --bundle /c ../a", ParseError::Id("../a".into())),
            ("run --systemd-cgroup a", ParseError::Option("--systemd-cgroup".into())),
            ("attach --bundle /c --pid 0 a", ParseError::Pid("0".into())),
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
}
