//! The command line of `service`, as a value; LinuxKit's options are accepted.

use std::ffi::OsString;
use std::time::{SystemTime, UNIX_EPOCH};

use super::nearest::nearest;
use super::protocol::{LogQuery, Request};
use super::since;
use super::usage::{self, COMMANDS, Name, Usage};
use crate::power::Action;

/// How many lines from before there are when lines are followed and nothing is said about it.
const FOLLOW_LINES: usize = 10;

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Ask the supervisor.
    Ask {
        /// What.
        request: Request,
        /// How it is shown.
        format: Format,
    },
    /// Take the machine down.
    Power(Action),
    /// LinuxKit's `system-init`, which the supervisor does by itself.
    Nothing,
    /// Print what there is, or all about one command.
    Help(Option<&'static Usage>),
}

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// As a picture.
    Svg,
    /// Only if it is an error.
    Quiet,
}

/// Why a command line was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// None of ours.
    #[error("unknown command {word:?}{}", hint(*meant))]
    Command {
        /// What was written.
        word: String,
        /// What was probably meant.
        meant: Option<&'static str>,
    },
    /// An option that the command does not have.
    #[error("`service {command}` has no option {option}")]
    Option {
        /// The command.
        command: &'static str,
        /// As it was written.
        option: String,
    },
    /// An option without its value.
    #[error("option {0} needs a value")]
    Value(String),
    /// An option with a value that is none.
    #[error("{value:?} is no value for {option}: {expected}")]
    BadValue {
        /// As it was written.
        option: String,
        /// As it was written.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// No service was named.
    #[error("`service {0}` needs the name of a service")]
    NoName(&'static str),
    /// More words than the command takes.
    #[error("{0:?} is one argument too many")]
    Extra(String),
}

fn hint(meant: Option<&'static str>) -> String {
    meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"))
}

/// The options of a command line.
#[derive(Debug, Default)]
struct Options {
    quiet: bool,
    help: bool,
    lines: Option<usize>,
    since: Option<SystemTime>,
    /// Those that were given, under their long names, and as they were written.
    given: Vec<(&'static str, String)>,
}

impl Options {
    fn has(&self, option: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == option)
    }
}

impl Command {
    /// Reads the words after the program's name; `now` is for options that count from it.
    ///
    /// # Errors
    /// When they are no command of ours.
    pub fn parse<I>(args: I, now: SystemTime) -> Result<Self, ParseError>
    where
        I: IntoIterator<Item = OsString>,
    {
        let (options, words) = options(args, now)?;
        let mut words = words.into_iter();
        let word = words.next().unwrap_or_else(|| "list".to_owned());
        if word == "system-init" {
            return Ok(Self::Nothing);
        }
        let Some(usage) = usage::find(&word) else {
            let meant = nearest(&word, COMMANDS.iter().map(|usage| usage.name));
            let meant = COMMANDS.iter().map(|usage| usage.name).find(|name| Some(*name) == meant);
            return Err(ParseError::Command { word, meant });
        };
        if options.help {
            return Ok(Self::Help((words.len() > 0 || word != "list").then_some(usage)));
        }
        let name = if usage.name_is == Name::None { None } else { words.next() };
        if let Some(extra) = words.next() {
            return Err(ParseError::Extra(extra));
        }
        if let Some((_, option)) = options.given.iter().find(|(option, _)| !usage.options.contains(option)) {
            return Err(ParseError::Option { command: usage.name, option: option.clone() });
        }
        if usage.name_is == Name::Needed && name.is_none() {
            return Err(ParseError::NoName(usage.name));
        }
        command(usage, name, &options)
    }
}

fn command(usage: &'static Usage, name: Option<String>, options: &Options) -> Result<Command, ParseError> {
    let format = match (options.quiet, options.has("json"), options.has("svg")) {
        (true, ..) => Format::Quiet,
        (_, true, _) => Format::Json,
        (_, _, true) => Format::Svg,
        _ => Format::Table,
    };
    let follow = options.has("follow");
    let request = match (usage.name, name) {
        ("status", Some(name)) => Request::Status { name },
        ("start", Some(name)) => Request::Start { name },
        ("stop", Some(name)) => Request::Stop { name },
        ("restart", Some(name)) => Request::Restart { name },
        ("logs", name) => Request::Logs(LogQuery {
            name,
            follow,
            lines: options.lines.or((follow && options.since.is_none()).then_some(FOLLOW_LINES)),
            since: options.since.map(micros),
        }),
        ("events", _) => Request::Events { follow },
        ("boot", _) => Request::Boot,
        ("poweroff", _) => return Ok(Command::Power(Action::PowerOff)),
        ("reboot", _) => return Ok(Command::Power(Action::Reboot)),
        ("help", None) => return Ok(Command::Help(None)),
        ("help", Some(word)) => {
            let about = usage::find(&word).ok_or(ParseError::Command { word, meant: None })?;
            return Ok(Command::Help(Some(about)));
        }
        _ => Request::List,
    };
    Ok(Command::Ask { request, format })
}

/// Tells options from words.
fn options<I>(args: I, now: SystemTime) -> Result<(Options, Vec<String>), ParseError>
where
    I: IntoIterator<Item = OsString>,
{
    let mut args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned());
    let (mut options, mut words) = (Options::default(), Vec::new());
    while let Some(arg) = args.next() {
        // LinuxKit's are Go's: one dash or two.
        let Some(text) =
            arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).filter(|text| !text.is_empty())
        else {
            words.push(arg);
            continue;
        };
        let (option, inline) = match text.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (text, None),
        };
        let mut value =
            || inline.clone().or_else(|| args.next()).ok_or_else(|| ParseError::Value(arg.clone()));
        match option {
            "q" | "quiet" => options.quiet = true,
            "v" => {}
            "h" | "help" => options.help = true,
            // Where containerd and the services are is the supervisor's business: the value is not used.
            "containerd-namespace" | "sock" | "path" | "dump-spec" => drop(value()?),
            "json" => options.given.push(("json", arg)),
            "svg" => options.given.push(("svg", arg)),
            "f" | "follow" => options.given.push(("follow", arg)),
            "n" | "lines" => {
                let text = value()?;
                options.lines = Some(text.parse().map_err(|_| bad(&arg, text, "it is a number of lines"))?);
                options.given.push(("lines", arg));
            }
            "since" => {
                let text = value()?;
                let since = since::parse(&text, now);
                let expected = "write 90s, 10m, 2h or 1d for so long ago, or a time like 2026-11-22T08:30";
                options.since = Some(since.ok_or_else(|| bad(&arg, text, expected))?);
                options.given.push(("since", arg));
            }
            _ => {
                let command =
                    words.first().and_then(|word| usage::find(word)).map_or("list", |usage| usage.name);
                return Err(ParseError::Option { command, option: arg });
            }
        }
    }
    Ok((options, words))
}

fn bad(option: &str, value: String, expected: &'static str) -> ParseError {
    ParseError::BadValue { option: option.to_owned(), value, expected }
}

fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(line: &str) -> Result<Command, ParseError> {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        Command::parse(line.split_whitespace().map(OsString::from), now)
    }

    #[test]
    fn linuxkits_command_lines_are_understood() {
        let ask = |request, format| Ok(Command::Ask { request, format });
        let named = |name: &str| name.to_owned();
        let cases = [
            ("list", ask(Request::List, Format::Table)),
            ("status", ask(Request::List, Format::Table)),
            ("status slapd", ask(Request::Status { name: named("slapd") }, Format::Table)),
            ("-q start slapd", ask(Request::Start { name: named("slapd") }, Format::Quiet)),
            (
                "-v --containerd-namespace x stop slapd",
                ask(Request::Stop { name: named("slapd") }, Format::Table),
            ),
            (
                "restart --sock=/s -path /p slapd",
                ask(Request::Restart { name: named("slapd") }, Format::Table),
            ),
            ("system-init", Ok(Command::Nothing)),
            ("-v system-init --path /containers/services", Ok(Command::Nothing)),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn our_own_are_understood() {
        let ask = |request, format| Ok(Command::Ask { request, format });
        let query = LogQuery::default();
        let cases = [
            ("", ask(Request::List, Format::Table)),
            ("ls --json", ask(Request::List, Format::Json)),
            ("logs", ask(Request::Logs(query.clone()), Format::Table)),
            (
                "logs slapd -f",
                ask(
                    Request::Logs(LogQuery {
                        name: Some("slapd".into()),
                        follow: true,
                        lines: Some(10),
                        since: None,
                    }),
                    Format::Table,
                ),
            ),
            (
                "logs -n 5 --since=100s --json",
                ask(
                    Request::Logs(LogQuery { lines: Some(5), since: Some(900_000_000), ..query.clone() }),
                    Format::Json,
                ),
            ),
            (
                "logs --follow --since 100s",
                ask(
                    Request::Logs(LogQuery { follow: true, since: Some(900_000_000), ..query }),
                    Format::Table,
                ),
            ),
            ("events -f", ask(Request::Events { follow: true }, Format::Table)),
            ("boot --svg", ask(Request::Boot, Format::Svg)),
            ("poweroff", Ok(Command::Power(Action::PowerOff))),
            ("help", Ok(Command::Help(None))),
            ("--help", Ok(Command::Help(None))),
            ("help logs", Ok(Command::Help(usage::find("logs")))),
            ("logs -h", Ok(Command::Help(usage::find("logs")))),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let option = |command, option: &str| ParseError::Option { command, option: option.into() };
        let cases = [
            ("dance", ParseError::Command { word: "dance".into(), meant: None }),
            ("stauts", ParseError::Command { word: "stauts".into(), meant: Some("status") }),
            ("help dance", ParseError::Command { word: "dance".into(), meant: None }),
            ("stop", ParseError::NoName("stop")),
            ("stop a b", ParseError::Extra("b".into())),
            ("list a", ParseError::Extra("a".into())),
            ("list --colour", option("list", "--colour")),
            ("list --follow", option("list", "--follow")),
            ("stop a --svg", option("stop", "--svg")),
            ("start a --sock", ParseError::Value("--sock".into())),
            ("logs -n", ParseError::Value("-n".into())),
        ];
        for (line, error) in cases {
            assert_eq!(parse(line), Err(error), "{line}");
        }
        assert!(matches!(parse("logs -n x"), Err(ParseError::BadValue { .. })));
        let error = parse("logs --since soon").unwrap_err().to_string();
        assert!(error.starts_with("\"soon\" is no value for --since: write 90s"), "{error}");
        assert_eq!(
            parse("stauts").unwrap_err().to_string(),
            "unknown command \"stauts\"; did you mean status?"
        );
    }
}
