//! Programs that drivers run.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::pkg::PkgError;

/// How many of the last lines a failed build shows.
const LINES_SHOWN: usize = 30;
/// Most bytes of a log that are read for that.
const MAX_TAIL: u64 = 1 << 20;

/// A program, and how it is got.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What to do when it is missing.
    pub remedy: &'static str,
}

impl Program {
    /// Runs a command of it to its end; what it prints goes to the file `log`, and is `shown` as it comes.
    pub fn run(self, command: Command, doing: &str, log: &Path, shown: bool) -> Result<(), PkgError> {
        let status = self.record(command, doing, log, shown)?;
        if status.success() {
            return Ok(());
        }
        Err(self.failed(doing, status, &tail(log).map_err(PkgError::io("reading", log))?))
    }

    fn record(
        self,
        mut command: Command,
        doing: &str,
        log: &Path,
        shown: bool,
    ) -> Result<ExitStatus, PkgError> {
        let mut file = File::create(log).map_err(PkgError::io("writing", log))?;
        let errors = file.try_clone().map_err(PkgError::io("writing", log))?;
        if !shown {
            return command.stdout(file).stderr(errors).status().map_err(|error| self.missing(doing, &error));
        }
        let (mut reader, writer) = io::pipe().map_err(PkgError::io("making a pipe for", log))?;
        let both = writer.try_clone().map_err(PkgError::io("making a pipe for", log))?;
        let child = command.stdout(writer).stderr(both).spawn();
        let mut child = child.map_err(|error| self.missing(doing, &error))?;
        // The command has the other end, too, and it ends only when nobody has it any more.
        drop(command);
        let mut chunk = [0; 1 << 14];
        loop {
            let len = reader.read(&mut chunk).map_err(PkgError::io("reading what is written to", log))?;
            let read = chunk.get(..len).unwrap_or_default();
            if read.is_empty() {
                break;
            }
            file.write_all(read).map_err(PkgError::io("writing", log))?;
            // Who does not look need not be told.
            io::stderr().write_all(read).ok();
        }
        child.wait().map_err(PkgError::io("waiting for what writes", log))
    }

    /// Runs a command of it to its end, and returns what it prints.
    pub fn answer(self, mut command: Command, doing: &str) -> Result<String, PkgError> {
        let out = command.stderr(Stdio::piped()).output().map_err(|error| self.missing(doing, &error))?;
        if !out.status.success() {
            return Err(self.failed(doing, out.status, &out.stderr));
        }
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    }

    /// Whether a command of it succeeds; what it prints is not looked at.
    pub fn succeeds(self, mut command: Command, doing: &str) -> Result<bool, PkgError> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().map(|status| status.success()).map_err(|error| self.missing(doing, &error))
    }

    /// It cannot be started.
    pub fn missing(self, doing: &str, error: &io::Error) -> PkgError {
        let (doing, program) = (doing.into(), self.name.into());
        match error.kind() {
            io::ErrorKind::NotFound => PkgError::Missing { doing, program, remedy: self.remedy.into() },
            _ => PkgError::Command {
                doing,
                command: program,
                outcome: format!("cannot be started: {error}"),
                output: String::new(),
            },
        }
    }

    /// It has failed.
    pub fn failed(self, doing: &str, status: ExitStatus, printed: &[u8]) -> PkgError {
        PkgError::Command {
            doing: doing.into(),
            command: self.name.into(),
            outcome: status.to_string(),
            output: last_lines(&String::from_utf8_lossy(printed), LINES_SHOWN),
        }
    }
}

/// Where a driver writes what a build prints.
pub fn log_file(out: &Path) -> PathBuf {
    out.with_extension("log")
}

/// The end of a log.
fn tail(log: &Path) -> io::Result<Vec<u8>> {
    use std::io::{Seek, SeekFrom};
    let mut file = File::open(log)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(MAX_TAIL)))?;
    let mut bytes = Vec::new();
    file.take(MAX_TAIL).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: Program = Program { name: "sh", remedy: "install the package dash" };

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn only_the_last_lines_of_a_failed_build_are_shown() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a\n", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }

    #[test]
    fn what_a_failed_program_printed_is_told_whether_it_was_shown_or_not() {
        let dir = tempfile::tempdir().unwrap();
        for shown in [false, true] {
            let script = sh("echo out; echo err >&2; exit 3");
            let error = SHELL.run(script, "trying", &dir.path().join("log"), shown).unwrap_err().to_string();
            assert!(error.contains("out\nerr") && error.contains("exit status: 3"), "{error}");
        }
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_what_installs_it() {
        let error = SHELL.answer(Command::new("/nonexistent/sh"), "trying").unwrap_err().to_string();
        assert_eq!(error, "trying: `sh` is not installed; install the package dash");
    }
}
