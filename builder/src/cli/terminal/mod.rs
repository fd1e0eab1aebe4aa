//! What the user sees: notes, progress and errors on standard error, answers on standard output.

mod bars;
mod json;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use crate::config::Problem;
use crate::event::{Event, Work};

use bars::Bars;

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
    /// From `-q` and the `-v`s: each alone counts, one with a number is that level (0 errors, 1 usual, 2 and 3 more).
    pub fn from_flags(quiet: bool, verbose: &[Option<u8>]) -> Self {
        let level = verbose.iter().fold(1, |level: u8, flag| flag.unwrap_or(level.saturating_add(1)));
        match (quiet, level) {
            (true, _) | (false, 0) => Self::Quiet,
            (false, 1) => Self::Normal,
            (false, _) => Self::Verbose,
        }
    }
}

/// How it is said.
#[derive(Debug)]
enum Manner {
    /// In lines, one after the other.
    Lines,
    /// The same, and long work below them as it goes on.
    Bars(Bars),
    /// In JSON, an object a line.
    Json(Mutex<json::Told>),
}

/// The user's side; clones are the same.
#[derive(Debug, Clone)]
pub struct Terminal {
    verbosity: Verbosity,
    colour: bool,
    manner: Arc<Manner>,
}

impl Terminal {
    /// Standard error: with progress if it is a terminal that can be drawn on, in colour if `NO_COLOR` is not set, too.
    pub fn new(verbosity: Verbosity, json: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_terminal = io::stderr().is_terminal();
        let draws = is_terminal && set("TERM").is_some_and(|term| term != "dumb");
        let manner = match (json, draws && verbosity > Verbosity::Quiet) {
            (true, _) => Manner::Json(Mutex::default()),
            (false, true) => Manner::Bars(Bars::new()),
            (false, false) => Manner::Lines,
        };
        let colour = is_terminal && set("NO_COLOR").is_none() && !json;
        Self { verbosity, colour, manner: Arc::new(manner) }
    }

    /// Says what is going on.
    pub fn note(&self, message: impl Display) {
        self.say(Verbosity::Normal, "note", &message);
    }

    /// Says how it is done.
    pub fn detail(&self, message: impl Display) {
        self.say(Verbosity::Verbose, "detail", &message);
    }

    /// Says what may not be as it was meant.
    pub fn warn(&self, message: impl Display) {
        match &*self.manner {
            Manner::Json(_) => self.say(Verbosity::Normal, "warning", &message),
            Manner::Lines | Manner::Bars(_) => self.note(format_args!("warning: {message}")),
        }
    }

    /// The same of a configuration.
    pub fn warn_of(&self, problem: &Problem) {
        match &*self.manner {
            Manner::Json(_) if self.is_quiet() => {}
            Manner::Json(_) => write_lines(&[json::problem("warning", problem)]),
            Manner::Lines | Manner::Bars(_) => self.warn(problem),
        }
    }

    /// Says how far long work is.
    pub fn tell(&self, event: Event<'_>) {
        match &*self.manner {
            Manner::Json(_) if self.is_quiet() => {}
            Manner::Json(told) => {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                write_lines(told.event(&event, Instant::now()).as_slice());
            }
            Manner::Bars(bars) => {
                bars.show(&event);
                // Its line says that it goes on; that it has begun is only said where there are no such lines.
                if !matches!(event, Event::Started { .. }) {
                    self.say_event(&event);
                }
            }
            Manner::Lines => self.say_event(&event),
        }
    }

    fn say_event(&self, event: &Event<'_>) {
        match *event {
            Event::Started { work: work @ (Work::Assemble | Work::Verify | Work::Write), name } => {
                self.detail(format_args!("{} {name}", work.doing()));
            }
            Event::Started { work, name } => self.note(format_args!("{} {name}", work.doing())),
            Event::Finished { work: Work::Pull, name, bytes, digest } => {
                match bytes {
                    None | Some(0) => self.note(format_args!("pulled {name}: the cache has it already")),
                    Some(bytes) => self.note(format_args!("pulled {name}: {bytes} bytes")),
                }
                if let Some(digest) = digest {
                    self.detail(format_args!("{name} is {digest}"));
                }
            }
            Event::Finished { work: Work::Upload, name, bytes, .. } => {
                self.note(format_args!("uploaded {name}: {} bytes", bytes.unwrap_or_default()));
            }
            Event::Finished { work: Work::Push, name, bytes: Some(bytes), .. } => {
                self.note(format_args!("pushed {name}: {bytes} bytes"));
            }
            Event::Note(message) => self.note(message),
            Event::Advanced { .. } | Event::Finished { .. } => {}
        }
    }

    /// Whether colour is wanted and seen.
    pub fn in_colour(&self) -> bool {
        self.colour
    }

    /// Whether the user wants to hear of errors only.
    pub fn is_quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// Whether it is a program that reads.
    pub fn is_json(&self) -> bool {
        matches!(*self.manner, Manner::Json(_))
    }

    fn say(&self, from: Verbosity, event: &str, message: &dyn Display) {
        if self.verbosity < from {
            return;
        }
        // There is nobody left to tell when standard error is closed.
        let line = || writeln!(io::stderr(), "{message}").ok();
        match &*self.manner {
            Manner::Lines => drop(line()),
            Manner::Bars(bars) => drop(bars.suspended(line)),
            Manner::Json(_) => write_lines(&[json!({ "event": event, "message": message.to_string() })]),
        }
    }

    /// Writes the name of a file that was made.
    pub fn result(&self, path: &Path) -> io::Result<()> {
        if self.is_json() && !self.is_quiet() {
            write_lines(&[json!({ "event": "result", "path": path.to_string_lossy() })]);
        }
        self.print(path.display())
    }

    /// Writes a line of the answer. That nobody reads it any more (`| head`) is no error.
    pub fn print(&self, line: impl Display) -> io::Result<()> {
        self.answer(format!("{line}\n").as_bytes())
    }

    /// Writes an answer, or a part of one, as it is; otherwise as [`Self::print`].
    pub fn answer(&self, bytes: &[u8]) -> io::Result<()> {
        let write = || io::stdout().write_all(bytes).and_then(|()| io::stdout().flush());
        let written = match &*self.manner {
            Manner::Bars(bars) => bars.suspended(write),
            Manner::Lines | Manner::Json(_) => write(),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(io::Error::other(format!("cannot write to standard output: {error}"))),
            Ok(()) => Ok(()),
        }
    }

    /// Takes progress from the screen: the terminal is somebody else's now.
    pub fn clear(&self) {
        if let Manner::Bars(bars) = &*self.manner {
            bars.clear();
        }
    }

    /// Tells an error and what caused it.
    pub fn report(&self, error: &(dyn Error + 'static)) {
        self.clear();
        match &*self.manner {
            Manner::Json(_) => write_lines(&json::error(error)),
            // As above: nobody is left to tell.
            _ => drop(io::stderr().write_all(describe(error, self.colour).as_bytes())),
        }
    }
}

fn write_lines(objects: &[Value]) {
    let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
    // As above.
    io::stderr().write_all(lines.as_bytes()).ok();
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
        for (quiet, verbose, verbosity) in [
            (true, &[][..], Verbosity::Quiet),
            (false, &[], Verbosity::Normal),
            (false, &[None], Verbosity::Verbose),
            (false, &[None, None, None], Verbosity::Verbose),
            (false, &[Some(0)], Verbosity::Quiet),
            (false, &[Some(1)], Verbosity::Normal),
            (false, &[Some(3)], Verbosity::Verbose),
        ] {
            assert_eq!(Verbosity::from_flags(quiet, verbose), verbosity, "{quiet} {verbose:?}");
        }
    }
}
