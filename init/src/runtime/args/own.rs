//! The commands that only this runtime has: what LinuxKit's `runtime.json` asks for, and the whole life at once.

use std::ffi::OsString;
use std::path::PathBuf;

use super::words::{Words, checked_id, none};
use super::{Command, Entry, ParseError};

/// All of them.
pub const COMMANDS: &[Entry] = &[
    Entry { name: "run", options: &[(&["--bundle", "-b"], true), (&["--exit-file"], true)], read: run },
    Entry { name: "runner", options: &[], read: runner },
    Entry { name: "prepare", options: &[(&["--bundle", "-b"], true)], read: prepare },
    Entry { name: "attach", options: &[(&["--bundle", "-b"], true), (&["--pid"], true)], read: attach },
    Entry { name: "volumes", options: &[], read: volumes },
    Entry { name: "release", options: &[], read: release },
];

fn run(mut given: Words) -> Result<Command, ParseError> {
    Ok(Command::Run { bundle: bundle(&mut given)?, exit_file: given.path("--exit-file"), id: given.id()? })
}

fn runner(given: Words) -> Result<Command, ParseError> {
    none(given.rest.into_iter().next())?;
    Ok(Command::Runner)
}

fn prepare(mut given: Words) -> Result<Command, ParseError> {
    Ok(Command::Prepare { bundle: bundle(&mut given)?, id: given.id()? })
}

fn attach(mut given: Words) -> Result<Command, ParseError> {
    Ok(Command::Attach {
        bundle: bundle(&mut given)?,
        pid: pid(given.value("--pid").ok_or(ParseError::Missing("--pid"))?)?,
        id: given.id()?,
    })
}

fn volumes(given: Words) -> Result<Command, ParseError> {
    none(given.rest.into_iter().next())?;
    Ok(Command::Volumes)
}

fn release(given: Words) -> Result<Command, ParseError> {
    Ok(Command::Release { ids: given.rest.into_iter().map(checked_id).collect::<Result<_, _>>()? })
}

fn bundle(given: &mut Words) -> Result<PathBuf, ParseError> {
    given.path("--bundle").ok_or(ParseError::Missing("--bundle"))
}

fn pid(word: OsString) -> Result<i32, ParseError> {
    let text = word.to_string_lossy();
    match text.parse::<i32>() {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(ParseError::Pid(text.into_owned())),
    }
}
