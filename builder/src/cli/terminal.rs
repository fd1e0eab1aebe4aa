//! What the user sees: notes and errors on standard error, answers on standard output.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// What is going on.
    Normal,
    /// How it is done.
    Verbose,
}

impl Verbosity {
    /// From `-q` and the number of `-v`.
    pub fn from_flags(quiet: bool, verbose: u8) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Quiet,
            (false, 0) => Self::Normal,
            (false, _) => Self::Verbose,
        }
    }
}

/// The user's side.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    verbosity: Verbosity,
    colour: bool,
}

impl Terminal {
    /// Standard error, in colour if it is a terminal and `NO_COLOR` is not set.
    pub fn new(verbosity: Verbosity) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { verbosity, colour: io::stderr().is_terminal() && !no_color }
    }

    /// Says what is going on.
    pub fn note(&self, message: impl Display) {
        self.say(Verbosity::Normal, &message);
    }

    /// Says how it is done.
    pub fn detail(&self, message: impl Display) {
        self.say(Verbosity::Verbose, &message);
    }

    /// Whether colour is wanted and seen.
    pub fn in_colour(&self) -> bool {
        self.colour
    }

    /// Whether the user wants to hear of errors only.
    pub fn is_quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    fn say(&self, from: Verbosity, message: &dyn Display) {
        if self.verbosity >= from {
            // There is nobody left to tell when standard error is closed.
            let _closed = writeln!(io::stderr(), "{message}");
        }
    }

    /// Writes a line of the answer. That nobody reads it any more (`| head`) is no error.
    pub fn print(&self, line: impl Display) -> io::Result<()> {
        self.answer(format!("{line}\n").as_bytes())
    }

    /// Writes an answer, or a part of one, as it is; otherwise as [`Self::print`].
    pub fn answer(&self, bytes: &[u8]) -> io::Result<()> {
        match io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(io::Error::other(format!("cannot write to standard output: {error}"))),
            Ok(()) => Ok(()),
        }
    }

    /// Tells an error and what caused it.
    pub fn report(&self, error: &dyn Error) {
        let _closed = io::stderr().write_all(describe(error, self.colour).as_bytes());
    }
}

/// An error and its causes, one a line.
fn describe(error: &dyn Error, colour: bool) -> String {
    let (red, bold, reset) = if colour { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    let mut told = error.to_string();
    let mut text = format!("{red}error:{reset} {told}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Many errors end with what caused them.
        if !told.contains(&message) {
            text += &format!("{bold}caused by:{reset} {message}\n");
            told = message;
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot build m.yml")]
    struct Outer(#[source] io::Error);

    #[test]
    fn an_error_is_followed_by_its_causes() {
        let error = Outer(io::Error::other("no such image"));
        assert_eq!(describe(&error, false), "error: cannot build m.yml\ncaused by: no such image\n");
        assert!(describe(&error, true).starts_with("\x1b[1;31merror:\x1b[0m cannot"));
    }

    #[test]
    fn a_cause_that_the_error_names_itself_is_not_told_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot build m.yml: {0}")]
        struct Telling(#[source] io::Error);
        assert_eq!(describe(&Telling(io::Error::other("no")), false), "error: cannot build m.yml: no\n");
    }

    #[test]
    fn flags_decide_how_much_is_said() {
        assert_eq!(Verbosity::from_flags(true, 0), Verbosity::Quiet);
        assert_eq!(Verbosity::from_flags(false, 0), Verbosity::Normal);
        assert_eq!(Verbosity::from_flags(false, 3), Verbosity::Verbose);
    }
}
