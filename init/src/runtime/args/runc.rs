//! The commands that runc has too, with its names and options (runc(8)).

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;

use super::words::{Words, checked_id, none, text};
use super::{Command, Entry, Exec, Format, ParseError};

/// What runc sends when no signal is named: SIGTERM.
const DEFAULT_SIGNAL: u32 = 15;

/// All of them.
pub const COMMANDS: &[Entry] = &[
    Entry {
        name: "create",
        options: &[
            (&["--bundle", "-b"], true),
            (&["--console-socket"], true),
            (&["--pid-file"], true),
            (&["--no-new-keyring"], false),
            (&["--prepare"], false),
        ],
        read: create,
    },
    Entry { name: "start", options: &[], read: |given| Ok(Command::Start { id: given.id()? }) },
    Entry { name: "state", options: &[], read: |given| Ok(Command::State { id: given.id()? }) },
    Entry { name: "pause", options: &[], read: |given| Ok(Command::Pause { id: given.id()? }) },
    Entry { name: "resume", options: &[], read: |given| Ok(Command::Resume { id: given.id()? }) },
    Entry { name: "kill", options: &[(&["--all", "-a"], false)], read: kill },
    Entry {
        name: "delete",
        options: &[(&["--force", "-f"], false)],
        read: |given| Ok(Command::Delete { force: given.flag("--force"), id: given.id()? }),
    },
    Entry {
        name: "exec",
        options: &[
            (&["--process", "-p"], true),
            (&["--detach", "-d"], false),
            (&["--tty", "-t"], false),
            (&["--console-socket"], true),
            (&["--pid-file"], true),
            (&["--user", "-u"], true),
            (&["--cwd"], true),
            (&["--env", "-e"], true),
        ],
        read: |given| exec(given).map(Command::Exec),
    },
    Entry { name: "ps", options: &[(&["--format", "-f"], true)], read: ps },
    Entry { name: "update", options: &[(&["--resources", "-r"], true)], read: update },
    Entry { name: "events", options: &[(&["--stats"], false)], read: events },
    Entry { name: "list", options: &[(&["--format", "-f"], true), (&["--quiet", "-q"], false)], read: list },
];

fn create(mut given: Words) -> Result<Command, ParseError> {
    Ok(Command::Create {
        bundle: given.path("--bundle").unwrap_or_else(|| PathBuf::from(".")),
        console_socket: given.path("--console-socket"),
        pid_file: given.path("--pid-file"),
        prepare: given.flag("--prepare"),
        id: given.id()?,
    })
}

fn kill(given: Words) -> Result<Command, ParseError> {
    let all = given.flag("--all");
    let mut rest = given.rest.into_iter();
    let id = checked_id(rest.next().ok_or(ParseError::Missing("the container's id"))?)?;
    let signal = match rest.next() {
        None => DEFAULT_SIGNAL,
        Some(word) => {
            let word = word.to_string_lossy().into_owned();
            image_layout::signal_number(&word).ok_or(ParseError::Signal(word))?
        }
    };
    none(rest.next())?;
    Ok(Command::Kill { id, signal, all })
}

fn ps(mut given: Words) -> Result<Command, ParseError> {
    Ok(Command::Ps { format: format(&mut given)?, id: given.id()? })
}

fn update(mut given: Words) -> Result<Command, ParseError> {
    Ok(Command::Update {
        resources: given.path("--resources").ok_or(ParseError::Missing("--resources"))?,
        id: given.id()?,
    })
}

/// Without `--stats` runc would go on telling for ever.
fn events(given: Words) -> Result<Command, ParseError> {
    if !given.flag("--stats") {
        return Err(ParseError::Missing("--stats"));
    }
    Ok(Command::Events { id: given.id()? })
}

fn list(mut given: Words) -> Result<Command, ParseError> {
    let (format, quiet) = (format(&mut given)?, given.flag("--quiet"));
    none(given.rest.into_iter().next())?;
    Ok(Command::List { format, quiet })
}

fn format(given: &mut Words) -> Result<Format, ParseError> {
    match given.text("--format")?.as_deref() {
        None | Some("table") => Ok(Format::Table),
        Some("json") => Ok(Format::Json),
        Some(other) => Err(ParseError::BadValue { option: "--format", value: other.to_owned() }),
    }
}

fn exec(mut given: Words) -> Result<Exec, ParseError> {
    // `exec OPTIONS ID -- ARGS` and `exec OPTIONS -- ID ARGS` and `exec OPTIONS ID ARGS`.
    let mut rest = VecDeque::from(std::mem::take(&mut given.rest));
    let id = checked_id(rest.pop_front().ok_or(ParseError::Missing("the container's id"))?)?;
    if rest.front().is_some_and(|word| word == "--") {
        rest.pop_front();
    }
    let env: Vec<OsString> = given.given.remove("--env").unwrap_or_default();
    let exec = Exec {
        id,
        process: given.path("--process"),
        args: rest.into_iter().map(|word| text("an argument", word)).collect::<Result<_, _>>()?,
        env: env.into_iter().map(|word| text("--env", word)).collect::<Result<_, _>>()?,
        cwd: given.path("--cwd"),
        user: given.text("--user")?.map(user).transpose()?,
        tty: given.flag("--tty"),
        detach: given.flag("--detach"),
        console_socket: given.path("--console-socket"),
        pid_file: given.path("--pid-file"),
    };
    if exec.process.is_none() && exec.args.is_empty() {
        return Err(ParseError::Missing("the program"));
    }
    Ok(exec)
}

fn user(value: String) -> Result<(u32, Option<u32>), ParseError> {
    let (uid, gid) = match value.split_once(':') {
        Some((uid, gid)) => (uid, Some(gid)),
        None => (value.as_str(), None),
    };
    match (uid.parse(), gid.map(str::parse).transpose()) {
        (Ok(uid), Ok(gid)) => Ok((uid, gid)),
        _ => Err(ParseError::BadValue { option: "--user", value }),
    }
}
