//! A process that does nothing but keep the sockets: containers have them bound, and one that is made anew in their place
//! would not be theirs.
//!
//! It outlives the supervisor. The next one takes the sockets from it, and whoever connects meanwhile waits for that.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use tokio::process::Command;

use crate::supervisor::{face, state_file};
use crate::watch::process::ProcessId;

/// What it is called.
pub const NAME: &str = "log-sockets";

/// Where it is known from.
fn file() -> PathBuf {
    state_file::path("log-sockets.json")
}

/// The sockets of a former supervisor: for questions, and for logs from outside.
#[must_use]
pub fn take() -> Option<(OwnedFd, OwnedFd)> {
    from(state_file::read(&file())?)
}

fn from(keeper: ProcessId) -> Option<(OwnedFd, OwnedFd)> {
    let pid = Pid::from_raw(i32::try_from(keeper.pid).ok()?)?;
    // Whatever fails, there is no keeper that can be asked, and the sockets are made anew.
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Only now, with the number held, is it sure whose it is.
    (ProcessId::of(keeper.pid)? == keeper).then_some(())?;
    let get = |fd| pidfd_getfd(&process, fd, PidfdGetfdFlags::empty()).ok();
    Some((get(0)?, get(1)?))
}

/// Starts one that keeps these.
///
/// # Errors
/// What the system says.
pub fn start(query: BorrowedFd<'_>, external: BorrowedFd<'_>) -> io::Result<()> {
    let mut command = Command::new(face::SELF);
    command.arg0("init").arg(NAME).process_group(0);
    command
        .stdin(Stdio::from(query.try_clone_to_owned()?))
        .stdout(Stdio::from(external.try_clone_to_owned()?));
    let keeper = command.stderr(Stdio::null()).spawn()?.id().and_then(ProcessId::of);
    let keeper = keeper.ok_or_else(|| io::Error::other("their keeper ended at once"))?;
    state_file::write(&file(), &keeper)
}

/// Runs `init log-sockets`: keeps what is open as standard input and output until it is killed.
#[must_use]
pub fn main() -> ExitCode {
    loop {
        nix::unistd::pause();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_a_process_keeps_is_taken_from_it_and_from_no_other() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut command = std::process::Command::new("sleep");
        command.arg("1000").stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        drop(command);
        let id = ProcessId::of(child.id()).unwrap();
        assert!(from(ProcessId { started: id.started + 1, ..id }).is_none());
        let (taken, _) = from(id).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        UnixStream::from(taken).write_all(b"still there").unwrap();
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        assert_eq!(text, "still there");
        assert!(from(id).is_none());
    }
}
