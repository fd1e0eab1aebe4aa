//! The runtime's command line, as a value: runc's commands and options, and those of our own.
//!
//! | module | duty |
//! | --- | --- |
//! | `command` | what may be asked for |
//! | `words` | options told from arguments |
//! | `runc` | the commands that runc has too |
//! | `own` | those that only this runtime has |

mod command;
mod error;
mod own;
mod runc;
#[cfg(test)]
mod tests;
mod words;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;

use words::{Spec, Words, sort};

pub use command::{Command, Exec, Format};
pub use error::ParseError;
pub use words::valid_id;

/// Printed with every mistake on the command line.
pub const USAGE: &str =
    "usage: init runtime [--root DIR] [--log FILE] [--log-format text|json] [--debug] COMMAND
       create [--bundle DIR] [--console-socket SOCKET] [--pid-file FILE] [--prepare] ID
       start|state|pause|resume ID
       kill [--all] ID [SIGNAL]
       delete [--force] ID
       exec [--process FILE] [--detach] [--tty] [--console-socket SOCKET] [--pid-file FILE]
            [--user UID[:GID]] [--cwd DIR] [--env NAME=VALUE] ID [--] [PROGRAM ARGUMENT...]
       ps [--format table|json] ID
       update --resources FILE|- ID
       events --stats ID
       list [--format table|json] [--quiet]
       run --bundle DIR [--exit-file FILE] ID
       runner
       prepare --bundle DIR ID
       attach --bundle DIR --pid PID ID
       volumes
       release [ID...]";

/// Where containers are known when no `--root` says otherwise.
pub const DEFAULT_ROOT: &str = "/run/lkb/runtime";

/// A whole command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Options before the command.
    pub global: Global,
    /// What is asked for.
    pub command: Command,
}

/// Options before the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// Directory of all containers' state.
    pub root: PathBuf,
    /// File that gets errors and warnings, besides standard error.
    pub log: Option<PathBuf>,
    /// Whether that file is JSON lines, as runc writes them, or text.
    pub json: bool,
}

/// A command of the line: its name, its options, and how it is read from its words.
struct Entry {
    name: &'static str,
    options: &'static [Spec],
    read: fn(Words) -> Result<Command, ParseError>,
}

const GLOBAL: &[Spec] = &[
    (&["--root"], true),
    (&["--log"], true),
    (&["--log-format"], true),
    (&["--debug"], false),
    // Whoever calls runc may say these; there is one way of doing it here.
    (&["--rootless"], true),
    (&["--version", "-v"], false),
];

impl Line {
    /// Reads the words after `runtime`.
    pub fn parse<I: IntoIterator<Item = OsString>>(args: I) -> Result<Self, ParseError> {
        let mut words: VecDeque<OsString> = args.into_iter().collect();
        let mut given = sort(&mut words, GLOBAL, true)?;
        let json = match given.text("--log-format")?.as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => {
                return Err(ParseError::BadValue { option: "--log-format", value: other.to_owned() });
            }
        };
        let global = Global {
            root: given.path("--root").unwrap_or_else(|| PathBuf::from(DEFAULT_ROOT)),
            log: given.path("--log").filter(|path| !path.as_os_str().is_empty()),
            json,
        };
        let command = if given.flag("--version") { Command::Version } else { command(words)? };
        Ok(Self { global, command })
    }
}

fn command(mut words: VecDeque<OsString>) -> Result<Command, ParseError> {
    let name = words.pop_front().unwrap_or_default().to_string_lossy().into_owned();
    let entry = runc::COMMANDS.iter().chain(own::COMMANDS).find(|entry| entry.name == name);
    let Some(entry) = entry else { return Err(ParseError::Command(name)) };
    // What follows the container's id of `exec` are the added program's words, not ours.
    let mut given = sort(&mut words, entry.options, name == "exec")?;
    given.rest.extend(words);
    (entry.read)(given)
}
