//! The command line of `poweroff`.

use std::time::Duration;

use lk_command::flags::{Flag, Parsed};

/// What `-h` prints.
pub const USAGE: &str = "\
poweroff: powers the machine off after a while

usage: poweroff [-f] [SECONDS]

  SECONDS  how long to wait before (default 30, at most 31536000)
  -f       do not ask PID 1: write what is in memory to the disks, and be off at once
";

/// The pause when none is given.
const PAUSE: u64 = 30;
/// The longest pause, in seconds: a year.
const LONGEST: u64 = 31_536_000;

/// Its flags.
pub const FLAGS: &[Flag] = &[Flag { name: "f", takes_value: false }];

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long to wait before.
    pub pause: Duration,
    /// Without PID 1.
    pub force: bool,
}

/// Why the command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// The pause is none.
    #[error("{0:?}: is not a number of seconds from 0 to {LONGEST}")]
    NotSeconds(String),
    /// Too many arguments.
    #[error("{0:?}: is one argument too many")]
    TooMany(String),
}

/// What a command line asks for.
///
/// # Errors
/// [`UsageError`] says what is wrong with it.
pub fn options(parsed: Parsed) -> Result<Options, UsageError> {
    let mut positional = parsed.positional.iter();
    let pause = match positional.next() {
        None => PAUSE,
        Some(text) => match text.parse() {
            Ok(seconds @ 0..=LONGEST) => seconds,
            _ => return Err(UsageError::NotSeconds(text.clone())),
        },
    };
    match positional.next() {
        None => Ok(Options { pause: Duration::from_secs(pause), force: parsed.is_set("f") }),
        Some(second) => Err(UsageError::TooMany(second.clone())),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use lk_command::flags;

    use super::*;

    fn read(line: &str) -> Result<Options, UsageError> {
        options(flags::parse(FLAGS, line.split_whitespace().map(OsString::from)).unwrap())
    }

    #[test]
    fn a_pause_and_force_may_be_given() {
        for (line, seconds, force) in
            [("", 30, false), ("0", 0, false), ("120", 120, false), ("-f", 30, true), ("3 -f", 3, true)]
        {
            assert_eq!(read(line), Ok(Options { pause: Duration::from_secs(seconds), force }), "{line}");
        }
    }

    #[test]
    fn what_is_no_pause_is_refused() {
        for (line, error) in [
            ("soon", UsageError::NotSeconds("soon".into())),
            ("31536001", UsageError::NotSeconds("31536001".into())),
            ("1 2", UsageError::TooMany("2".into())),
        ] {
            assert_eq!(read(line), Err(error), "{line}");
        }
    }
}
