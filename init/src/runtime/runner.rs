//! `runtime runner`: containers one after another in one process, which is executed, and touches its pages, once for all.
//!
//! Standard input is a socket: each [`Step`] comes as a line of JSON and is answered by [`Answer`]s, that the container runs if
//! it came to that, and how it ended, before the next may be asked for. The process ends with the socket, and after a failure
//! of its own: a step that succeeds finds it as a new one.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::error::chain;
use super::run::{Run, Signals, wait_for_containers};
use super::{RUNTIME_FAILED, RuntimeError};

/// Longest request (bytes): a few paths.
const LIMIT: u64 = 1 << 16;
/// What requests are called in errors.
const REQUESTS: &str = "standard input";

/// A container to run from nothing to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its id.
    pub id: String,
    /// Its directory.
    pub bundle: PathBuf,
    /// Where the outcome is written, for one who is not our parent.
    pub exit_file: PathBuf,
    /// The file that gets its standard output; it is there.
    pub stdout: PathBuf,
    /// The file that gets its standard error, and what the runtime says; it is there.
    pub stderr: PathBuf,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// The container's exit code, 128 + signal when a signal ended it, or [`RUNTIME_FAILED`].
    pub code: u8,
    /// Whether the process ends now, and runs nothing more.
    pub is_last: bool,
}

/// What is said of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its container is made, and runs.
    Begun,
    /// It is over.
    Done(Done),
}

/// The second byte of [`Answer::Begun`]; that of the other is 0, or 1 when it is the last.
const BEGUN: u8 = 2;

impl Answer {
    /// As it is written.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 2] {
        match self {
            Self::Begun => [0, BEGUN],
            Self::Done(Done { code, is_last }) => [code, is_last.into()],
        }
    }

    /// As it is read.
    #[must_use]
    pub fn from_bytes([code, kind]: [u8; 2]) -> Self {
        if kind == BEGUN { Self::Begun } else { Self::Done(Done { code, is_last: kind != 0 }) }
    }
}

/// Runs what is asked for, with the state of containers below `root`, until nobody asks any more.
pub fn serve(root: &Path) -> Result<u8, RuntimeError> {
    let requests = take_requests().map_err(RuntimeError::io("take over", Path::new(REQUESTS)))?;
    let signals = wait_for_containers()?;
    let mut reader = BufReader::new(&requests);
    loop {
        signals.wait_for(requests.as_fd())?;
        if signals.told_to_end() {
            return Ok(0);
        }
        let Some(step) = read(&mut reader)? else { return Ok(0) };
        let begun = || {
            // Who asked may be gone; its successor finds the exit file.
            (&requests).write_all(&Answer::Begun.to_bytes()).ok();
        };
        let result = run(root, &step, &signals, &begun);
        if let Err(error) = &result {
            eprintln!("{}: {}", step.id, chain(error));
        }
        let is_last = result.is_err() || signals.told_to_end();
        let done = Done { code: result.unwrap_or(RUNTIME_FAILED), is_last };
        match (&requests).write_all(&Answer::Done(done).to_bytes()) {
            // Who asked is gone; its successor finds the exit file.
            Err(_) => return Ok(0),
            Ok(()) if is_last => return Ok(0),
            Ok(()) => {}
        }
    }
}

/// Takes the socket out of the way of containers, which get `/dev/null` for their standard input.
fn take_requests() -> std::io::Result<UnixStream> {
    let requests = std::io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(requests.into())
}

/// The next request; `None` when there are no more.
fn read(requests: &mut impl BufRead) -> Result<Option<Step>, RuntimeError> {
    let mut line = Vec::new();
    let path = Path::new(REQUESTS);
    requests.take(LIMIT).read_until(b'\n', &mut line).map_err(RuntimeError::io("read", path))?;
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&line)
        .map(Some)
        .map_err(|source| RuntimeError::Json { path: path.to_owned(), source })
}

fn run(root: &Path, step: &Step, signals: &Signals, begun: &dyn Fn()) -> Result<u8, RuntimeError> {
    let open =
        |path: &Path| OpenOptions::new().write(true).open(path).map_err(RuntimeError::io("open", path));
    let put = |errno: Errno| RuntimeError::system("take the files for output")(errno);
    nix::unistd::dup2_stdout(open(&step.stdout)?).map_err(put)?;
    nix::unistd::dup2_stderr(open(&step.stderr)?).map_err(put)?;
    let Step { id, bundle, exit_file, .. } = step;
    Run { root, bundle, id, exit_file: Some(exit_file), signals, begun }.to_the_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let done = [Done { code: 0, is_last: false }, Done { code: 143, is_last: true }].map(Answer::Done);
        for answer in done.into_iter().chain([Answer::Begun]) {
            assert_eq!(Answer::from_bytes(answer.to_bytes()), answer);
        }
    }

    #[test]
    fn requests_are_lines_and_end_with_the_socket() {
        let step = Step {
            id: "000-a".into(),
            bundle: "/containers/onboot/000-a".into(),
            exit_file: "/run/lkb/onboot.000-a.exit".into(),
            stdout: "/run/log/out".into(),
            stderr: "/run/log/err".into(),
        };
        let line = serde_json::to_string(&step).unwrap() + "\n";
        let mut requests = line.as_bytes();
        assert_eq!(read(&mut requests).unwrap(), Some(step));
        assert_eq!(read(&mut requests).unwrap(), None);
        assert!(read(&mut b"{}\n".as_slice()).is_err());
        let endless = vec![b' '; 1 << 17];
        assert!(read(&mut endless.as_slice()).is_err());
    }
}
