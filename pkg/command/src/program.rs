//! Other programs: where they are and what they said.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

/// Where programs are looked for when `PATH` is not set, which is usual in a container.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is not in the image.
    #[error("{name}: not in this image (looked in {path}); use a package that ships it")]
    Missing {
        /// The program.
        name: String,
        /// The directories that were looked in.
        path: String,
    },
    /// It could not be started.
    #[error("{program}: cannot be started: {source}")]
    Start {
        /// The program's path.
        program: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
}

/// Finds programs on a search path.
#[derive(Debug, Clone)]
pub struct Programs {
    path: String,
}

impl Programs {
    /// Programs on `path`, a list with colons; on [`DEFAULT_PATH`] when there is none.
    pub fn on(path: Option<&OsStr>) -> Self {
        let path = path.and_then(OsStr::to_str).filter(|p| !p.is_empty()).unwrap_or(DEFAULT_PATH);
        Self { path: path.to_owned() }
    }

    /// Programs on the process's own `PATH`.
    pub fn from_environment() -> Self {
        Self::on(std::env::var_os("PATH").as_deref())
    }

    /// The path of the program `name`.
    pub fn find(&self, name: &str) -> Result<PathBuf, ProgramError> {
        self.path
            .split(':')
            .filter(|directory| directory.starts_with('/'))
            .map(|directory| Path::new(directory).join(name))
            .find(|file| file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
            .ok_or_else(|| ProgramError::Missing { name: name.to_owned(), path: self.path.clone() })
    }

    /// Runs the program to its end, with no input, and returns what it said.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Output, ProgramError> {
        let program = self.find(name)?;
        Command::new(&program)
            .args(arguments)
            .env_clear()
            .env("PATH", &self.path)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|source| ProgramError::Start { program, source })
    }
}

/// How a program ended and the last lines that it printed, for an error message.
pub fn account(output: &Output) -> String {
    const LINES: usize = 4;
    let said = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..].join("; ")
    };
    let words = [said(&output.stderr), said(&output.stdout)].into_iter().find(|s| !s.is_empty());
    match words {
        Some(words) => format!("{}: {words}", ending(output.status)),
        None => ending(output.status),
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_without_a_path_and_its_account_has_its_last_words() {
        let programs = Programs::on(None);
        assert!(programs.find("sh").unwrap().is_absolute());
        let output = programs.run("sh", ["-c", "echo one; echo two >&2; exit 3"]).unwrap();
        assert_eq!(account(&output), "exit status 3: two");
    }

    #[test]
    fn a_program_that_is_not_there_is_named_with_the_directories_that_were_looked_in() {
        let message = Programs::on(Some(OsStr::new("/nowhere"))).find("mkfs.xfs").unwrap_err().to_string();
        assert!(message.contains("mkfs.xfs") && message.contains("/nowhere"), "{message}");
    }
}
