//! A container's cgroup: who is in it, killing all of them, waiting until it is empty.

use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libcgroups::common::{
    AnyCgroupManager, CgroupConfig, CgroupManager, CgroupSetup, create_cgroup_manager, get_cgroup_setup,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use oci_spec::runtime::LinuxResources;

use super::{RuntimeError, SIGKILL, read_bounded};
use crate::sys::kill;

/// Where cgroups are mounted.
pub const ROOT: &str = "/sys/fs/cgroup";
/// File beside a derived configuration that has the cgroup's path, so that nobody must read the whole configuration.
const NOTE: &str = "cgroup";
const LIMIT: u64 = 1 << 16;
/// Pause between looks where there is nothing to wait for: version 1, and kernels before 5.14.
const PAUSE: Duration = Duration::from_millis(2);

/// A container's cgroup, which may not exist (any more).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    path: PathBuf,
    unified: bool,
}

/// Whether all controllers are in one tree (cgroups(7), version 2).
#[must_use]
pub fn is_unified() -> bool {
    matches!(get_cgroup_setup(), Ok(CgroupSetup::Unified))
}

impl Cgroup {
    /// The cgroup that was noted in the directory `derived`.
    pub fn noted(derived: &Path) -> Result<Self, RuntimeError> {
        let bytes = read_bounded(&derived.join(NOTE), LIMIT)?;
        Ok(Self { path: PathBuf::from(String::from_utf8_lossy(&bytes).into_owned()), unified: is_unified() })
    }

    /// A cgroup by its path below the mount.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), unified: is_unified() }
    }

    /// Keeps its path in the directory `derived`.
    pub fn note(&self, derived: &Path) -> Result<(), RuntimeError> {
        let path = derived.join(NOTE);
        std::fs::write(&path, self.path.as_os_str().as_encoded_bytes())
            .map_err(RuntimeError::io("write", &path))
    }

    /// Whether all controllers are in one tree.
    #[must_use]
    pub fn unified(&self) -> bool {
        self.unified
    }

    /// Its directory, when there is one tree.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.below(Path::new(ROOT))
    }

    fn below(&self, mount: &Path) -> PathBuf {
        mount.join(self.path.strip_prefix("/").unwrap_or(&self.path))
    }

    /// Makes it, with the controllers that `resources` needs; nothing in version 1, where libcontainer does.
    ///
    /// libcontainer would give it every controller that there is, and each costs the kernel a set of files and counters for
    /// each cgroup.
    pub fn make(&self, resources: Option<&LinuxResources>) -> Result<(), RuntimeError> {
        if !self.unified {
            return Ok(());
        }
        self.enable(resources)?;
        let dir = self.dir();
        std::fs::create_dir_all(&dir).map_err(RuntimeError::io("make cgroup", &dir))
    }

    /// Has the kernel apply the controllers that `resources` needs to it, from the top down.
    pub fn enable(&self, resources: Option<&LinuxResources>) -> Result<(), RuntimeError> {
        if !self.unified {
            return Ok(());
        }
        let needed = controllers(resources);
        let dir = self.dir();
        let Some(parent) = dir.parent() else { return Ok(()) };
        std::fs::create_dir_all(parent).map_err(RuntimeError::io("make cgroup", parent))?;
        let mut ancestors: Vec<&Path> =
            dir.ancestors().skip(1).take_while(|ancestor| ancestor.starts_with(ROOT)).collect();
        ancestors.reverse();
        for ancestor in ancestors {
            let file = ancestor.join("cgroup.subtree_control");
            let enabled = std::fs::read_to_string(&file).map_err(RuntimeError::io("read", &file))?;
            for controller in
                needed.iter().filter(|name| !enabled.split_whitespace().any(|word| word == **name))
            {
                // One that the kernel does not have is missed when a limit of it is set, and told then.
                drop(std::fs::write(&file, format!("+{controller}")));
            }
        }
        Ok(())
    }

    /// libcontainer's handle on it.
    pub fn manager(&self) -> Result<AnyCgroupManager, RuntimeError> {
        create_cgroup_manager(CgroupConfig {
            cgroup_path: self.path.clone(),
            systemd_cgroup: false,
            container_name: String::new(),
        })
        .map_err(|error| self.failed("find", error))
    }

    /// All processes in it and below; none when it does not exist.
    pub fn processes(&self) -> Result<Vec<i32>, RuntimeError> {
        // In version 1, libcontainer asks the devices controller.
        let tree = if self.unified { self.dir() } else { self.below(&Path::new(ROOT).join("devices")) };
        if !tree.exists() {
            return Ok(Vec::new());
        }
        let pids = self.manager()?.get_all_pids().map_err(|error| self.failed("list", error))?;
        Ok(pids.into_iter().map(|pid| pid.as_raw()).collect())
    }

    /// Sends `signal` to all processes in it and below.
    pub fn signal_all(&self, signal: u32) -> Result<(), RuntimeError> {
        if signal == SIGKILL && self.unified {
            match std::fs::write(self.dir().join("cgroup.kill"), "1") {
                Ok(()) => return Ok(()),
                // Linux before 5.14, or no cgroup at all.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(RuntimeError::io("write", &self.dir().join("cgroup.kill"))(error)),
            }
        }
        for pid in self.processes()? {
            match kill(pid, signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(RuntimeError::system("signal a process of the container")(errno)),
            }
        }
        Ok(())
    }

    /// Whether a process in it or below has not ended.
    pub fn is_populated(&self) -> Result<bool, RuntimeError> {
        if self.unified {
            let path = self.dir().join("cgroup.events");
            return match std::fs::read_to_string(&path) {
                Ok(text) => Ok(populated(&text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(RuntimeError::io("read", &path)(error)),
            };
        }
        // Version 1 lists zombies as well, which nobody waits for.
        Ok(self.processes()?.into_iter().any(|pid| {
            u32::try_from(pid)
                .ok()
                .and_then(crate::watch::process::ProcessId::of)
                .is_some_and(crate::watch::process::ProcessId::is_alive)
        }))
    }

    /// Kills all processes in it and waits until they have ended; an error when that takes longer than `limit`.
    pub fn empty(&self, limit: Duration) -> Result<(), RuntimeError> {
        let deadline = Instant::now() + limit;
        while self.is_populated()? {
            self.signal_all(SIGKILL)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RuntimeError::Immortal(limit));
            }
            self.await_change(left)?;
        }
        Ok(())
    }

    /// Waits until it may have become empty.
    fn await_change(&self, limit: Duration) -> Result<(), RuntimeError> {
        let path = self.dir().join("cgroup.events");
        let mut file = match std::fs::File::open(&path) {
            Ok(file) if self.unified => file,
            _ => {
                std::thread::sleep(PAUSE.min(limit));
                return Ok(());
            }
        };
        let mut text = String::new();
        loop {
            text.clear();
            file.rewind()
                .and_then(|()| file.read_to_string(&mut text))
                .map_err(RuntimeError::io("read", &path))?;
            if !populated(&text) {
                return Ok(());
            }
            // kernfs says by POLLPRI that the content has changed since it was read.
            let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
            match poll(&mut fds, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
                Ok(0) => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(RuntimeError::system("wait for the cgroup")(errno)),
            }
        }
    }

    fn failed(&self, action: &'static str, error: impl std::error::Error) -> RuntimeError {
        RuntimeError::Cgroup { action, path: self.path.clone(), reason: super::chain(&error) }
    }
}

/// The controllers that limits need, besides those that count: processes and memory, and kills for want of it.
fn controllers(resources: Option<&LinuxResources>) -> Vec<&str> {
    let mut needed = vec!["memory", "pids"];
    let Some(resources) = resources else { return needed };
    if let Some(cpu) = resources.cpu() {
        let sets = cpu.cpus().is_some() || cpu.mems().is_some();
        needed.extend(sets.then_some("cpuset"));
        needed.push("cpu");
    }
    needed.extend(resources.block_io().is_some().then_some("io"));
    needed.extend(
        resources.hugepage_limits().as_ref().is_some_and(|list| !list.is_empty()).then_some("hugetlb"),
    );
    for key in resources.unified().iter().flat_map(|map| map.keys()) {
        if let Some((controller, _)) = key.split_once('.')
            && controller != "cgroup"
            && !needed.contains(&controller)
        {
            needed.push(controller);
        }
    }
    needed
}

/// Whether `cgroup.events` (cgroups(7)) tells of living processes.
fn populated(events: &str) -> bool {
    events.lines().any(|line| line == "populated 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_has_the_controllers_that_its_limits_need() {
        let of = |text: &str| -> Vec<String> {
            let resources: LinuxResources = serde_json::from_str(text).unwrap();
            controllers(Some(&resources)).into_iter().map(str::to_owned).collect()
        };
        assert_eq!(controllers(None), ["memory", "pids"]);
        assert_eq!(of("{}"), ["memory", "pids"]);
        assert_eq!(of(r#"{"cpu":{"shares":512}}"#), ["memory", "pids", "cpu"]);
        assert_eq!(of(r#"{"cpu":{"cpus":"0"},"blockIO":{}}"#), ["memory", "pids", "cpuset", "cpu", "io"]);
        assert_eq!(
            of(
                r#"{"unified":{"memory.high":"1","rdma.max":"x","cgroup.max.depth":"2"},"hugepageLimits":[]}"#
            ),
            ["memory", "pids", "rdma"]
        );
    }

    #[test]
    fn an_empty_cgroup_says_so() {
        assert!(populated("populated 1\nfrozen 0\n"));
        assert!(!populated("populated 0\nfrozen 1\n"));
        assert!(!populated(""));
    }

    #[test]
    fn a_cgroup_is_below_the_mount_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["/services/a", "services/a"] {
            Cgroup { path: path.into(), unified: true }.note(dir.path()).unwrap();
            assert_eq!(Cgroup::noted(dir.path()).unwrap().dir(), Path::new("/sys/fs/cgroup/services/a"));
        }
    }
}
