//! The processes in a cgroup, and waiting for their end.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Cgroup, DEPTH_LIMIT, children};
use crate::sys::{SIGKILL, kill};
use crate::watch::process::ProcessId;

/// Between looks where the kernel does not tell: version 1, and those that fork where it cannot kill all at once.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// Version 1's controllers in the order in which they are asked who is in the cgroup; every runtime joins the first.
const ASKED: [&str; 2] = ["devices", "pids"];

impl Cgroup {
    /// All processes in it and below it.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        let asked = ASKED.iter().find_map(|controller| self.dir(controller));
        if let Some(dir) = asked.or_else(|| self.dirs.values().next().map(PathBuf::as_path)) {
            collect_pids(dir, DEPTH_LIMIT, &mut pids);
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Signals each of its processes; one that ends meanwhile is no error.
    ///
    /// # Errors
    /// What kill(2) said last.
    pub fn signal(&self, number: u32) -> Result<(), Errno> {
        let mut result = Ok(());
        for pid in self.pids() {
            match kill(pid, number) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => result = Err(errno),
            }
        }
        result
    }

    /// Kills all its processes, those that fork meanwhile too, where the kernel can (since Linux 5.14).
    ///
    /// # Errors
    /// As [`Cgroup::signal`].
    pub fn kill(&self) -> Result<(), Errno> {
        if let Some(switch) = self.kill_switch()
            && std::fs::write(switch, "1").is_ok()
        {
            return Ok(());
        }
        self.signal(SIGKILL)
    }

    /// The file that kills all at once.
    fn kill_switch(&self) -> Option<PathBuf> {
        self.dirs.get("").map(|dir| dir.join("cgroup.kill"))
    }

    /// Whether a process in it or below has not ended; there is none in a cgroup that is gone.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn is_populated(&self) -> std::io::Result<bool> {
        let Some(dir) = self.dirs.get("") else {
            // Version 1 lists zombies as well, which somebody else has to wait for.
            return Ok(self.pids().into_iter().filter_map(ProcessId::of).any(ProcessId::is_alive));
        };
        match File::open(events(dir)) {
            Ok(mut file) => read_populated(&mut file),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Kills until all have ended; false when somebody has not after `limit`.
    ///
    /// # Errors
    /// When the kernel does not tell who is left.
    pub fn kill_all(&self, limit: Duration) -> std::io::Result<bool> {
        let deadline = Instant::now() + limit;
        while self.is_populated()? {
            // Its failure shows in who is left.
            self.kill().ok();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.await_change(left)?;
        }
        Ok(true)
    }

    /// Waits until it may have become empty, at most for `limit`.
    fn await_change(&self, limit: Duration) -> std::io::Result<()> {
        let Some(dir) = self.dirs.get("") else {
            std::thread::sleep(LOOK_AGAIN.min(limit));
            return Ok(());
        };
        let mut file = match File::open(events(dir)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        // Without it, what was forked meanwhile must be killed in turn.
        let dies_at_once = self.kill_switch().is_some_and(|switch| switch.exists());
        let limit = if dies_at_once { limit } else { limit.min(LOOK_AGAIN) };
        while read_populated(&mut file)? {
            // kernfs says by POLLPRI that the content has changed since it was read.
            let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
            match poll(&mut fds, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
                Ok(0) => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// The file that tells whether anybody lives.
fn events(dir: &Path) -> PathBuf {
    dir.join("cgroup.events")
}

fn read_populated(events: &mut File) -> std::io::Result<bool> {
    let mut text = String::new();
    events.rewind()?;
    match events.read_to_string(&mut text) {
        Ok(_) => Ok(populated(&text)),
        // It was removed while the file was open.
        Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether `cgroup.events` (cgroups(7)) tells of living processes.
fn populated(events: &str) -> bool {
    events.lines().any(|line| line == "populated 1")
}

fn collect_pids(dir: &Path, depth: usize, pids: &mut Vec<u32>) {
    if let Ok(text) = std::fs::read_to_string(dir.join("cgroup.procs")) {
        pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid > 1));
    }
    for child in children(dir, depth) {
        collect_pids(&child, depth - 1, pids);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn an_empty_cgroup_says_so() {
        assert!(populated("populated 1\nfrozen 0\n"));
        assert!(!populated("populated 0\nfrozen 1\n"));
        assert!(!populated(""));
    }

    #[test]
    fn nobody_is_in_a_cgroup_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let cgroup = Cgroup::in_directory(&dir.path().join("gone"));
        assert!(!cgroup.is_populated().unwrap());
        assert!(cgroup.kill_all(Duration::ZERO).unwrap());
        assert!(cgroup.pids().is_empty());
    }

    #[test]
    fn members_of_subgroups_are_members_and_pid_1_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("below")).unwrap();
        std::fs::write(dir.path().join("cgroup.procs"), "0\n1\n20\n").unwrap();
        std::fs::write(dir.path().join("below/cgroup.procs"), "7\n20\n").unwrap();
        assert_eq!(Cgroup::in_directory(dir.path()).pids(), [7, 20]);
    }

    #[test]
    fn a_member_that_has_ended_and_that_nobody_has_waited_for_does_not_live() {
        let dir = tempfile::tempdir().unwrap();
        let cgroup = Cgroup { dirs: BTreeMap::from([("devices".to_owned(), dir.path().to_owned())]) };
        let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
        std::fs::write(dir.path().join("cgroup.procs"), format!("{}\n", child.id())).unwrap();
        assert!(cgroup.is_populated().unwrap());
        assert!(cgroup.kill_all(Duration::from_secs(10)).unwrap());
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(9));
    }

    #[test]
    fn who_does_not_end_in_time_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cgroup.events"), "populated 1\n").unwrap();
        assert!(!Cgroup::in_directory(dir.path()).kill_all(Duration::ZERO).unwrap());
    }
}
