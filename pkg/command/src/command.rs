//! What the commands over the machine's disks have in common: how they begin and end, and how long they wait.

use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::flags::{self, Flag, FlagError, Parsed};

/// A command by its name, with the flags that it knows and what `-h` prints.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// Its name, before each of its messages.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// Its flags, without `-h`.
    pub flags: &'static [Flag],
}

impl Command {
    /// Reads the flags among `arguments`, has `options` make of them what is asked for, and does that with `run`.
    ///
    /// | exit code | meaning |
    /// | --- | --- |
    /// | 0 | done, or help was asked for |
    /// | 1 | `run` failed |
    /// | 2 | the command line is wrong |
    pub fn main<O, U: Display, E: Display>(
        self,
        arguments: impl IntoIterator<Item = OsString>,
        options: impl FnOnce(Parsed) -> Result<O, U>,
        run: impl FnOnce(&O) -> Result<(), E>,
    ) -> ExitCode {
        let Self { name, usage, flags } = self;
        let refuse = |why: &dyn Display| {
            eprintln!("{name}: {why}\n\n{usage}");
            ExitCode::from(2)
        };
        let options = match flags::parse(flags, arguments).map(options) {
            Ok(Ok(options)) => options,
            Ok(Err(refusal)) => return refuse(&refusal),
            Err(FlagError::Help) => {
                print!("{usage}");
                return ExitCode::SUCCESS;
            }
            Err(error) => return refuse(&error),
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

/// What `-wait` says is no sensible number of seconds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("-wait {0}: is a number of seconds from 0 to 3600")]
pub struct NotSeconds(pub String);

impl Patience {
    /// Reads `-wait`.
    pub fn read(parsed: &Parsed) -> Result<Self, NotSeconds> {
        match parsed.value(WAIT.name) {
            None => Ok(Self(None)),
            Some(text) => match text.parse() {
                Ok(seconds @ 0..=3600) => Ok(Self(Some(seconds))),
                _ => Err(NotSeconds(text.to_owned())),
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

    const COMMAND: Command = Command { name: "test", usage: "usage: test\n", flags: &[WAIT] };

    fn words(line: &str) -> impl Iterator<Item = OsString> {
        line.split_whitespace().map(OsString::from)
    }

    fn patience(line: &str) -> Result<Patience, NotSeconds> {
        Patience::read(&flags::parse(COMMAND.flags, words(line)).unwrap())
    }

    #[test]
    fn the_exit_code_tells_a_wrong_command_line_from_a_failure() {
        for (line, result, expected) in [
            ("", Ok(()), ExitCode::SUCCESS),
            ("", Err("no"), ExitCode::FAILURE),
            ("-help", Err("not run"), ExitCode::SUCCESS),
            ("-x", Ok(()), ExitCode::from(2)),
            ("-wait x", Ok(()), ExitCode::from(2)),
        ] {
            let code = COMMAND.main(words(line), |parsed| Patience::read(&parsed), |_| result);
            assert_eq!(code, expected, "{line}");
        }
    }

    #[test]
    fn what_was_said_counts_more_than_the_default_and_hours_are_refused() {
        assert_eq!(patience("").unwrap().seconds(10), 10);
        assert_eq!(patience("-wait 0").unwrap().seconds(10), 0);
        for (text, line) in
            [("soon", "-wait soon"), ("3601", "-wait=3601"), ("-1", "-wait -1"), ("", "-wait=")]
        {
            assert_eq!(patience(line), Err(NotSeconds(text.to_owned())), "{line}");
        }
    }
}
