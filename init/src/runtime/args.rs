//! The runtime's command line, as a value: runc's commands and options, and those of our own.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::path::PathBuf;

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

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A process to add to a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exec {
    /// The container's id.
    pub id: String,
    /// File with an OCI process; overrules all that follows but the files and `detach`.
    pub process: Option<PathBuf>,
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=VALUE`, added to the container's own.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// User and group, when not the container's.
    pub user: Option<(u32, Option<u32>)>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether to return when it runs, rather than when it has ended.
    pub detach: bool,
    /// Socket that gets the terminal's master side.
    pub console_socket: Option<PathBuf>,
    /// File that gets its process id.
    pub pid_file: Option<PathBuf>,
}

/// What the runtime is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make a container whose program waits for its start.
    Create {
        /// The container's directory.
        bundle: PathBuf,
        /// The container's id.
        id: String,
        /// Socket that gets the terminal's master side.
        console_socket: Option<PathBuf>,
        /// File that gets the first process's id.
        pid_file: Option<PathBuf>,
        /// Whether to do what `runtime.json` asks for as well.
        prepare: bool,
    },
    /// Let a created container's program run.
    Start {
        /// The container's id.
        id: String,
    },
    /// Print what is known of a container, as JSON.
    State {
        /// The container's id.
        id: String,
    },
    /// Send a signal.
    Kill {
        /// The container's id.
        id: String,
        /// The signal's number.
        signal: u32,
        /// Whether all processes get it, or the first only.
        all: bool,
    },
    /// Forget an ended container.
    Delete {
        /// The container's id.
        id: String,
        /// Whether to kill it first if need be, and not to mind when there is none.
        force: bool,
    },
    /// Add a process.
    Exec(Exec),
    /// List the processes.
    Ps {
        /// The container's id.
        id: String,
        /// How.
        format: Format,
    },
    /// Freeze all processes.
    Pause {
        /// The container's id.
        id: String,
    },
    /// Let frozen processes go on.
    Resume {
        /// The container's id.
        id: String,
    },
    /// Change the limits.
    Update {
        /// The container's id.
        id: String,
        /// File with OCI resources; `-` is standard input.
        resources: PathBuf,
    },
    /// Print the resources in use, as JSON.
    Events {
        /// The container's id.
        id: String,
    },
    /// List the containers.
    List {
        /// How.
        format: Format,
        /// Ids only.
        quiet: bool,
    },
    /// Print the version.
    Version,
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
    Value(String),
    /// A value that the option cannot have.
    #[error("option {option} cannot be {value:?}")]
    BadValue {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
    },
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
    /// Not a signal.
    #[error("{0:?} is no signal")]
    Signal(String),
}

/// An option: its names, and whether a value follows.
type Spec = (&'static [&'static str], bool);

const GLOBAL: &[Spec] = &[
    (&["--root"], true),
    (&["--log"], true),
    (&["--log-format"], true),
    (&["--debug"], false),
    // Whoever calls runc may say these; there is one way of doing it here.
    (&["--rootless"], true),
    (&["--version", "-v"], false),
];

/// The options of each command.
fn options(command: &str) -> Option<&'static [Spec]> {
    Some(match command {
        "create" => &[
            (&["--bundle", "-b"], true),
            (&["--console-socket"], true),
            (&["--pid-file"], true),
            (&["--no-new-keyring"], false),
            (&["--prepare"], false),
        ],
        "start" | "state" | "pause" | "resume" | "volumes" | "release" => &[],
        "kill" => &[(&["--all", "-a"], false)],
        "delete" => &[(&["--force", "-f"], false)],
        "exec" => &[
            (&["--process", "-p"], true),
            (&["--detach", "-d"], false),
            (&["--tty", "-t"], false),
            (&["--console-socket"], true),
            (&["--pid-file"], true),
            (&["--user", "-u"], true),
            (&["--cwd"], true),
            (&["--env", "-e"], true),
        ],
        "ps" => &[(&["--format", "-f"], true)],
        "update" => &[(&["--resources", "-r"], true)],
        "events" => &[(&["--stats"], false)],
        "list" => &[(&["--format", "-f"], true), (&["--quiet", "-q"], false)],
        "run" => &[(&["--bundle", "-b"], true), (&["--exit-file"], true)],
        "prepare" => &[(&["--bundle", "-b"], true)],
        "attach" => &[(&["--bundle", "-b"], true), (&["--pid"], true)],
        _ => return None,
    })
}

/// Words, sorted: options by their first name, and the rest.
#[derive(Debug, Default)]
struct Words {
    given: BTreeMap<&'static str, Vec<OsString>>,
    rest: Vec<OsString>,
}

impl Words {
    fn flag(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    fn value(&mut self, name: &str) -> Option<OsString> {
        self.given.remove(name).and_then(|mut values| values.pop())
    }

    fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, ParseError> {
        self.value(name).map(|value| text(name, value)).transpose()
    }

    /// The one word that is left, which is an id.
    fn id(self) -> Result<String, ParseError> {
        let mut rest = self.rest.into_iter();
        let id = checked_id(rest.next().ok_or(ParseError::Missing("the container's id"))?)?;
        none(rest.next()).map(|()| id)
    }
}

/// Takes options from `words` until one is no option (`first_word_ends`), or to the end.
fn sort(
    words: &mut VecDeque<OsString>,
    options: &[Spec],
    first_word_ends: bool,
) -> Result<Words, ParseError> {
    let mut sorted = Words::default();
    while let Some(word) = words.pop_front() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            sorted.rest.extend(words.drain(..));
        } else if text.len() > 1 && text.starts_with('-') {
            let (name, attached) = match text.split_once('=') {
                Some((name, value)) => (name, Some(OsString::from(value))),
                None => (text.as_str(), None),
            };
            let Some((names, takes_value)) = options.iter().find(|(names, _)| names.contains(&name)) else {
                return Err(ParseError::Option(name.to_owned()));
            };
            let value = match (takes_value, attached) {
                (true, Some(value)) => value,
                (true, None) => words.pop_front().ok_or_else(|| ParseError::Value(name.to_owned()))?,
                (false, None) => OsString::new(),
                (false, Some(value)) if value == "true" => OsString::new(),
                (false, Some(_)) => return Err(ParseError::Option(text)),
            };
            if let Some(first) = names.first() {
                sorted.given.entry(first).or_default().push(value);
            }
        } else if first_word_ends {
            words.push_front(word);
            break;
        } else {
            sorted.rest.push(word);
        }
    }
    Ok(sorted)
}

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
    let options = options(&name).ok_or_else(|| ParseError::Command(name.clone()))?;
    let mut given = sort(&mut words, options, name == "exec")?;
    Ok(match name.as_str() {
        "create" => Command::Create {
            bundle: given.path("--bundle").unwrap_or_else(|| PathBuf::from(".")),
            console_socket: given.path("--console-socket"),
            pid_file: given.path("--pid-file"),
            prepare: given.flag("--prepare"),
            id: given.id()?,
        },
        "start" => Command::Start { id: given.id()? },
        "state" => Command::State { id: given.id()? },
        "pause" => Command::Pause { id: given.id()? },
        "resume" => Command::Resume { id: given.id()? },
        "kill" => kill(given)?,
        "delete" => Command::Delete { force: given.flag("--force"), id: given.id()? },
        "exec" => Command::Exec(exec(given, words)?),
        "ps" => Command::Ps { format: format(&mut given, Format::Table)?, id: given.id()? },
        "update" => Command::Update {
            resources: given.path("--resources").ok_or(ParseError::Missing("--resources"))?,
            id: given.id()?,
        },
        "events" if given.flag("--stats") => Command::Events { id: given.id()? },
        "events" => return Err(ParseError::Missing("--stats")),
        "list" => {
            let (format, quiet) = (format(&mut given, Format::Table)?, given.flag("--quiet"));
            none(given.rest.into_iter().next())?;
            Command::List { format, quiet }
        }
        "run" => Command::Run {
            bundle: given.path("--bundle").ok_or(ParseError::Missing("--bundle"))?,
            exit_file: given.path("--exit-file"),
            id: given.id()?,
        },
        "prepare" => Command::Prepare {
            bundle: given.path("--bundle").ok_or(ParseError::Missing("--bundle"))?,
            id: given.id()?,
        },
        "attach" => Command::Attach {
            bundle: given.path("--bundle").ok_or(ParseError::Missing("--bundle"))?,
            pid: pid(given.value("--pid").ok_or(ParseError::Missing("--pid"))?)?,
            id: given.id()?,
        },
        "volumes" => {
            none(given.rest.into_iter().next())?;
            Command::Volumes
        }
        "release" => {
            Command::Release { ids: given.rest.into_iter().map(checked_id).collect::<Result<_, _>>()? }
        }
        _ => return Err(ParseError::Command(name)),
    })
}

fn kill(given: Words) -> Result<Command, ParseError> {
    let all = given.flag("--all");
    let mut rest = given.rest.into_iter();
    let id = checked_id(rest.next().ok_or(ParseError::Missing("the container's id"))?)?;
    let signal = match rest.next() {
        // runc's default.
        None => 15,
        Some(word) => {
            let word = word.to_string_lossy().into_owned();
            image_layout::signal_number(&word).ok_or(ParseError::Signal(word))?
        }
    };
    none(rest.next())?;
    Ok(Command::Kill { id, signal, all })
}

fn exec(mut given: Words, words: VecDeque<OsString>) -> Result<Exec, ParseError> {
    // `exec OPTIONS ID -- ARGS` and `exec OPTIONS -- ID ARGS` and `exec OPTIONS ID ARGS`.
    let mut rest: VecDeque<OsString> = given.rest.drain(..).chain(words).collect();
    let id = checked_id(rest.pop_front().ok_or(ParseError::Missing("the container's id"))?)?;
    if rest.front().is_some_and(|word| word == "--") {
        rest.pop_front();
    }
    let env = given.given.remove("--env").unwrap_or_default();
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

fn format(given: &mut Words, default: Format) -> Result<Format, ParseError> {
    match given.text("--format")?.as_deref() {
        None => Ok(default),
        Some("table") => Ok(Format::Table),
        Some("json") => Ok(Format::Json),
        Some(other) => Err(ParseError::BadValue { option: "--format", value: other.to_owned() }),
    }
}

fn text(option: &'static str, value: OsString) -> Result<String, ParseError> {
    value
        .into_string()
        .map_err(|value| ParseError::BadValue { option, value: value.to_string_lossy().into_owned() })
}

impl Command {
    /// The container that errors are about.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Create { id, .. }
            | Self::Start { id }
            | Self::State { id }
            | Self::Kill { id, .. }
            | Self::Delete { id, .. }
            | Self::Ps { id, .. }
            | Self::Pause { id }
            | Self::Resume { id }
            | Self::Update { id, .. }
            | Self::Events { id }
            | Self::Run { id, .. }
            | Self::Prepare { id, .. }
            | Self::Attach { id, .. } => id,
            Self::Exec(exec) => &exec.id,
            Self::Volumes => "volumes",
            Self::Release { .. } | Self::List { .. } | Self::Version => "runtime",
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

fn checked_id(word: OsString) -> Result<String, ParseError> {
    match word.into_string() {
        Ok(id) if valid_id(&id) => Ok(id),
        Ok(id) => Err(ParseError::Id(id)),
        Err(id) => Err(ParseError::Id(id.to_string_lossy().into_owned())),
    }
}

fn none(extra: Option<OsString>) -> Result<(), ParseError> {
    extra.map_or(Ok(()), |word| Err(ParseError::Extra(word.to_string_lossy().into_owned())))
}

fn pid(word: OsString) -> Result<i32, ParseError> {
    let text = word.to_string_lossy();
    match text.parse::<i32>() {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(ParseError::Pid(text.into_owned())),
    }
}

#[cfg(test)]
mod tests {
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
                Command::Run {
                    bundle: "/c/000-a".into(),
                    id: "000-a".into(),
                    exit_file: Some("/run/x".into()),
                },
            ),
            (
                "attach --pid 7 --bundle /c/a a",
                Command::Attach { bundle: "/c/a".into(), pid: 7, id: "a".into() },
            ),
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
                Global {
                    root: "/run/containerd/runc/ns".into(),
                    log: Some("/b/log.json".into()),
                    json: true
                }
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
}
