//! The command line of `service`, as a value; LinuxKit's options are accepted.

use std::ffi::OsString;

use super::protocol::Request;

/// Printed for `--help` and with every mistake.
pub const USAGE: &str = "usage: service [-q] list
       service [-q] status [NAME]
       service [-q] start|stop|restart NAME";

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Ask the supervisor.
    Ask {
        /// What.
        request: Request,
        /// Print nothing but errors.
        quiet: bool,
    },
    /// LinuxKit's `system-init`, which the supervisor does by itself.
    Nothing,
    /// Print the usage.
    Help,
}

/// Why a command line was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No command, or none of ours.
    #[error("unknown command {0:?}")]
    Command(String),
    /// An option that we do not have.
    #[error("unknown option {0:?}")]
    Option(String),
    /// An option without its value.
    #[error("option {0} needs a value")]
    Value(String),
    /// No service was named.
    #[error("`service {0}` needs the name of a service")]
    NoName(String),
    /// More words than the command takes.
    #[error("{0:?} is one argument too many")]
    Extra(String),
}

impl Command {
    /// Reads the words after the program's name.
    pub fn parse<I: IntoIterator<Item = OsString>>(args: I) -> Result<Self, ParseError> {
        let mut args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned());
        let (mut quiet, mut words) = (false, Vec::new());
        while let Some(arg) = args.next() {
            let option = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'));
            match option {
                None => words.push(arg),
                Some("q") => quiet = true,
                Some("v") => {}
                Some("h" | "help") => return Ok(Self::Help),
                // Where containerd and the services are is the supervisor's business: the value is not used.
                Some("containerd-namespace" | "sock" | "path" | "dump-spec") => {
                    args.next().ok_or(ParseError::Value(arg))?;
                }
                Some(text)
                    if ["containerd-namespace=", "sock=", "path=", "dump-spec="]
                        .iter()
                        .any(|o| text.starts_with(o)) => {}
                Some(_) => return Err(ParseError::Option(arg)),
            }
        }
        let mut words = words.into_iter();
        let command = words.next().unwrap_or_default();
        let name = words.next();
        if let Some(extra) = words.next() {
            return Err(ParseError::Extra(extra));
        }
        let named = |name: Option<String>| name.ok_or_else(|| ParseError::NoName(command.clone()));
        let request = match command.as_str() {
            "list" | "ls" => match name {
                None => Request::List,
                Some(extra) => return Err(ParseError::Extra(extra)),
            },
            "status" => name.map_or(Request::List, |name| Request::Status { name }),
            "start" => Request::Start { name: named(name)? },
            "stop" => Request::Stop { name: named(name)? },
            "restart" => Request::Restart { name: named(name)? },
            "system-init" => return Ok(Self::Nothing),
            "help" => return Ok(Self::Help),
            _ => return Err(ParseError::Command(command)),
        };
        Ok(Self::Ask { request, quiet })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, ParseError> {
        Command::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn linuxkits_command_lines_are_understood() {
        let ask = |request, quiet| Ok(Command::Ask { request, quiet });
        let cases = [
            ("list", ask(Request::List, false)),
            ("status", ask(Request::List, false)),
            ("status slapd", ask(Request::Status { name: "slapd".into() }, false)),
            ("-q start slapd", ask(Request::Start { name: "slapd".into() }, true)),
            ("-v --containerd-namespace x stop slapd", ask(Request::Stop { name: "slapd".into() }, false)),
            ("restart --sock=/s --path /p slapd", ask(Request::Restart { name: "slapd".into() }, false)),
            ("system-init", Ok(Command::Nothing)),
            ("--help", Ok(Command::Help)),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("", ParseError::Command(String::new())),
            ("dance", ParseError::Command("dance".into())),
            ("stop", ParseError::NoName("stop".into())),
            ("stop a b", ParseError::Extra("b".into())),
            ("list a", ParseError::Extra("a".into())),
            ("--colour list", ParseError::Option("--colour".into())),
            ("start a --sock", ParseError::Value("--sock".into())),
        ];
        for (line, error) in cases {
            assert_eq!(parse(line), Err(error), "{line}");
        }
    }
}
