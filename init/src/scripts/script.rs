//! One script: started, waited for, and killed when it is late.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

/// What became of a script, as it is told.
#[derive(Debug)]
pub enum Outcome {
    /// It ended by itself.
    Ended(ExitStatus, Duration),
    /// It took longer than this, and was killed with all that it had started in its process group.
    Late(Duration),
    /// It could not be started, or not be waited for.
    Failed(io::Error),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(status, took) if status.success() => write!(f, "done in {:.2} s", took.as_secs_f64()),
            Self::Ended(status, took) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "exited with code {code} after {:.2} s", took.as_secs_f64()),
                (None, Some(signal)) => write!(f, "was killed by signal {signal}"),
                (None, None) => write!(f, "ended: {status}"),
            },
            Self::Late(limit) => write!(f, "not done after {} s, killed", limit.as_secs()),
            Self::Failed(error) => write!(f, "cannot be run: {error}"),
        }
    }
}

/// Runs a script with our standard output and error, in a process group of its own.
pub fn run(path: &Path, limit: Duration) -> Outcome {
    let begun = Instant::now();
    let child = Command::new(path).stdin(Stdio::null()).current_dir("/").process_group(0).spawn();
    match child.and_then(|child| wait(child, limit)) {
        Ok(Some(status)) => Outcome::Ended(status, begun.elapsed()),
        Ok(None) => Outcome::Late(limit),
        Err(error) => Outcome::Failed(error),
    }
}

/// Waits for its end; `None` when it was late.
fn wait(mut child: Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let process = pidfd_open(rustix::process::Pid::from_child(&child), PidfdFlags::empty())?;
    let timeout = i32::try_from(limit.as_millis()).ok().and_then(|millis| PollTimeout::try_from(millis).ok());
    let mut ready = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    let late = poll(&mut ready, timeout.unwrap_or(PollTimeout::MAX))? == 0;
    if late {
        let group = i32::try_from(child.id()).map_err(io::Error::other)?;
        killpg(Pid::from_raw(group), Signal::SIGKILL)?;
    }
    let status = child.wait()?;
    Ok((!late).then_some(status))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn outcome(text: &str, mode: u32, limit: Duration) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        run(&path, limit).to_string()
    }

    #[test]
    fn what_became_of_a_script_is_told() {
        let long = Duration::from_secs(60);
        assert!(outcome("#!/bin/sh\nexit 0\n", 0o755, long).starts_with("done in 0."));
        assert!(outcome("#!/bin/sh\nexit 3\n", 0o755, long).starts_with("exited with code 3 after"));
        assert_eq!(outcome("#!/bin/sh\nkill -9 $$\n", 0o755, long), "was killed by signal 9");
        assert!(outcome("#!/bin/sh\n", 0o644, long).starts_with("cannot be run: Permission denied"));
    }

    #[test]
    fn one_that_is_late_is_killed_with_what_it_waits_for() {
        let begun = Instant::now();
        let told = outcome("#!/bin/sh\nsleep 1000\n", 0o755, Duration::from_millis(50));
        assert_eq!(told, "not done after 0 s, killed");
        assert!(begun.elapsed() < Duration::from_secs(500));
    }
}
