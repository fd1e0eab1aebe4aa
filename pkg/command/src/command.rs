//! What the commands over the machine's disks have in common: how they begin and end, and how long they wait.

use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::flags::{Flag, FlagError, Parsed};

/// A command by its name, with what `-h` prints.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// Its name, before each of its messages.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
}

/// Why a command line was refused, or that help was asked for.
pub trait Refusal: Display {
    /// What was wrong with its flags, if that is it.
    fn flag(&self) -> Option<&FlagError>;
}

impl Command {
    /// Reads `arguments` with `parse` and does what they say with `run`.
    ///
    /// | exit code | meaning |
    /// | --- | --- |
    /// | 0 | done, or help was asked for |
    /// | 1 | `run` failed |
    /// | 2 | the command line is wrong |
    pub fn main<A, O, U, E>(
        self,
        arguments: A,
        parse: impl FnOnce(A) -> Result<O, U>,
        run: impl FnOnce(&O) -> Result<(), E>,
    ) -> ExitCode
    where
        A: IntoIterator<Item = OsString>,
        U: Refusal,
        E: Display,
    {
        let Self { name, usage } = self;
        let options = match parse(arguments) {
            Ok(options) => options,
            Err(refusal) if refusal.flag() == Some(&FlagError::Help) => {
                print!("{usage}");
                return ExitCode::SUCCESS;
            }
            Err(refusal) => {
                eprintln!("{name}: {refusal}\n\n{usage}");
                return ExitCode::from(2);
            }
        };
        match run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{name}: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// The flag that [`Patience`] is read from.
pub const WAIT: Flag = Flag { name: "wait", takes_value: true };

/// How long a device may take to appear: what `-wait` says, or else what fits the way it was named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patience(Option<u64>);

impl Patience {
    /// Reads `-wait`.
    pub fn read(parsed: &Parsed) -> Result<Self, FlagError> {
        match parsed.value(WAIT.name) {
            None => Ok(Self(None)),
            Some(text) => match text.parse() {
                Ok(seconds @ 0..=3600) => Ok(Self(Some(seconds))),
                _ => Err(FlagError::NotSeconds(WAIT.name, text.to_owned())),
            },
        }
    }

    /// In seconds; `default` when nothing was said.
    pub fn seconds(self, default: u64) -> u64 {
        self.0.unwrap_or(default)
    }

    /// Until when, from now on.
    pub fn deadline(self, default: u64) -> Instant {
        Instant::now() + Duration::from_secs(self.seconds(default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse;

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Refused(#[from] FlagError);

    impl Refusal for Refused {
        fn flag(&self) -> Option<&FlagError> {
            Some(&self.0)
        }
    }

    fn patience(line: &str) -> Result<Patience, FlagError> {
        Patience::read(&parse(&[WAIT], line.split_whitespace().map(OsString::from))?)
    }

    #[test]
    fn the_exit_code_tells_a_wrong_command_line_from_a_failure() {
        let command = Command { name: "test", usage: "usage: test\n" };
        let code = |line: &str, result: Result<(), &str>| {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            let parse = |words| Ok::<_, Refused>(Patience::read(&parse(&[WAIT], words)?)?);
            command.main(words, parse, |_| result)
        };
        for (line, result, expected) in [
            ("", Ok(()), ExitCode::SUCCESS),
            ("", Err("no"), ExitCode::FAILURE),
            ("-help", Err("not run"), ExitCode::SUCCESS),
            ("-x", Ok(()), ExitCode::from(2)),
            ("-wait x", Ok(()), ExitCode::from(2)),
        ] {
            assert_eq!(code(line, result), expected, "{line}");
        }
    }

    #[test]
    fn what_was_said_counts_more_than_the_default_and_hours_are_refused() {
        assert_eq!(patience("").unwrap().seconds(10), 10);
        assert_eq!(patience("-wait 0").unwrap().seconds(10), 0);
        for (text, line) in
            [("soon", "-wait soon"), ("3601", "-wait=3601"), ("-1", "-wait -1"), ("", "-wait=")]
        {
            assert_eq!(patience(line), Err(FlagError::NotSeconds("wait", text.to_owned())), "{line}");
        }
    }
}
