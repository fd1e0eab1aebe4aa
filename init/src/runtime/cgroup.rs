//! A container's cgroup as the runtime has it: noted beside the container, made with the controllers that it needs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use libcgroups::common::{AnyCgroupManager, CgroupConfig, create_cgroup_manager};
use oci_spec::runtime::LinuxResources;

use super::{RuntimeError, read_bounded};
use crate::cgroup::{self, ROOT};
use crate::sys::SIGKILL;

pub use crate::cgroup::is_unified;

/// File beside a derived configuration that has the cgroup's path, so that nobody must read the whole configuration.
const NOTE: &str = "cgroup";
const LIMIT: u64 = 1 << 16;

/// A container's cgroup, which may not exist (any more).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    path: PathBuf,
    unified: bool,
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
        Path::new(ROOT).join(self.path.strip_prefix("/").unwrap_or(&self.path))
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
        if parent != Path::new(ROOT) {
            std::fs::create_dir_all(parent).map_err(RuntimeError::io("make cgroup", parent))?;
        }
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

    /// The cgroup, if it exists; never the machine's own.
    fn there(&self) -> Option<cgroup::Cgroup> {
        cgroup::Cgroup::named(&self.path)
    }

    /// All processes in it and below, in the order of their numbers; none when it does not exist.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.there().map(|cgroup| cgroup.pids()).unwrap_or_default()
    }

    /// Sends `signal` to all processes in it and below.
    pub fn signal_all(&self, signal: u32) -> Result<(), RuntimeError> {
        let Some(cgroup) = self.there() else { return Ok(()) };
        let sent = if signal == SIGKILL { cgroup.kill() } else { cgroup.signal(signal) };
        sent.map_err(RuntimeError::system("signal a process of the container"))
    }

    /// Whether a process in it or below has not ended.
    pub fn is_populated(&self) -> Result<bool, RuntimeError> {
        let Some(cgroup) = self.there() else { return Ok(false) };
        cgroup.is_populated().map_err(|error| self.failed("look for processes in", error))
    }

    /// Kills all processes in it and waits until they have ended; an error when that takes longer than `limit`.
    pub fn empty(&self, limit: Duration) -> Result<(), RuntimeError> {
        let Some(cgroup) = self.there() else { return Ok(()) };
        match cgroup.kill_all(limit) {
            Ok(true) => Ok(()),
            Ok(false) => Err(RuntimeError::Immortal(limit)),
            Err(error) => Err(self.failed("wait for the end of processes in", error)),
        }
    }

    /// Removes it with what the container made below it.
    pub fn remove(&self) -> Result<(), RuntimeError> {
        let Some(cgroup) = self.there() else { return Ok(()) };
        cgroup.remove().map_err(|error| self.failed("remove", error))
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
    fn a_cgroup_is_below_the_mount_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["/services/a", "services/a"] {
            Cgroup { path: path.into(), unified: true }.note(dir.path()).unwrap();
            assert_eq!(Cgroup::noted(dir.path()).unwrap().dir(), Path::new("/sys/fs/cgroup/services/a"));
        }
    }
}
