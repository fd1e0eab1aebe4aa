//! Processes that outlive the supervisor that started them.

use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;

use super::readiness::readable;

/// A process, told from a later one with the same number by the time it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// Its start, in clock ticks since boot (proc_pid_stat(5), field 22).
    pub started: u64,
}

impl ProcessId {
    /// The process that has the number `pid` now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = stat(pid).ok()?;
        Some(Self { pid, started: start_time(&stat)? })
    }

    /// Whether it still runs: it has not become a zombie, and its number has not been given to another.
    #[must_use]
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_ok_and(|stat| start_time(&stat) == Some(self.started) && !is_dead(&stat))
    }
}

/// A process that is not our child, held by a pidfd.
#[derive(Debug)]
pub struct Handle(AsyncFd<OwnedFd>);

impl Handle {
    /// Takes hold of a process; `None` when it is gone.
    #[must_use]
    pub fn open(id: ProcessId) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(id.pid).ok()?)?;
        let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Only now, with the number held, is it sure whose it is.
        (ProcessId::of(id.pid)? == id).then_some(())?;
        readable(fd).ok().map(Self)
    }

    /// Waits for its end.
    pub async fn ended(&self) {
        // A pidfd becomes readable once and stays so; an error can only mean that polling is impossible.
        drop(self.0.readable().await);
    }

    /// Sends a signal; a process that has ended is no error.
    pub fn signal(&self, signal: Signal) -> std::io::Result<()> {
        match pidfd_send_signal(self.0.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// More than the kernel writes into a file `stat` (bytes): 52 numbers and a name.
const STAT_LIMIT: u16 = 2048;

fn stat(pid: u32) -> std::io::Result<String> {
    // In one call: each makes the kernel look at the process again.
    let mut text = String::with_capacity(STAT_LIMIT.into());
    std::fs::File::open(format!("/proc/{pid}/stat"))?.take(STAT_LIMIT.into()).read_to_string(&mut text)?;
    Ok(text)
}

/// Field 3 of `/proc/PID/stat`: zombie or dead.
fn is_dead(stat: &str) -> bool {
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

/// Field 22 of `/proc/PID/stat`; field 2 may contain blanks and parentheses.
fn start_time(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        assert_eq!(start_time(stat), Some(4242));
        assert_eq!(start_time("7 (a"), None);
        assert!(!is_dead(stat));
        assert!(is_dead("7 (S) Z 1"));
    }

    #[test]
    fn a_zombie_does_not_run() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        let fd =
            pidfd_open(Pid::from_raw(i32::try_from(id.pid).unwrap()).unwrap(), PidfdFlags::empty()).unwrap();
        let mut fds = [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&fd), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut fds, nix::poll::PollTimeout::NONE).unwrap();
        assert!(!id.is_alive());
        assert_eq!(ProcessId::of(id.pid), Some(id));
        child.wait().unwrap();
    }

    #[test]
    fn a_number_that_was_given_to_another_process_is_not_taken_for_the_old_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _entered = runtime.enter();
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(Handle::open(me).is_some());
        assert!(Handle::open(ProcessId { started: me.started + 1, ..me }).is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_a_stat_or_not(text in "\\PC{0,200}") {
            start_time(&text);
        }
    }
}
