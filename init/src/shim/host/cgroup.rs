//! The container's cgroup, of either version (the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/cgroups.rst).

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::sys::kill;

const ROOT: &str = "/sys/fs/cgroup";
/// The signal that nothing survives.
pub const SIGKILL: u32 = 9;
/// Deeper trees than this are nobody's.
const DEPTH_LIMIT: usize = 16;
/// Between looks at processes that were killed.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A cgroup: one directory, or with version 1 one for each controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// By controller; version 2's under the empty name.
    dirs: BTreeMap<String, PathBuf>,
}

impl Cgroup {
    /// The cgroup that a process is in; `None` when it is the root's or our own, which is no container's.
    ///
    /// # Errors
    /// When `/proc` does not tell.
    pub fn of(pid: u32) -> std::io::Result<Option<Self>> {
        let read = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup"));
        let unified = Path::new(ROOT).join("cgroup.controllers").exists();
        Ok(choose(&read(&pid.to_string())?, &read("self")?, unified))
    }

    /// The container's cgroup by its name in `config.json`, if it exists.
    #[must_use]
    pub fn named(path: &str) -> Option<Self> {
        let relative = below_root(path)?;
        let unified = Path::new(ROOT).join("cgroup.controllers").exists();
        let dirs: BTreeMap<_, _> = if unified {
            BTreeMap::from([(String::new(), Path::new(ROOT).join(relative))])
        } else {
            let controllers = std::fs::read_dir(ROOT).ok()?.flatten();
            controllers
                .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().join(relative)))
                .collect()
        };
        let dirs: BTreeMap<_, _> = dirs.into_iter().filter(|(_, dir)| dir.is_dir()).collect();
        (!dirs.is_empty()).then_some(Self { dirs })
    }

    /// Whether it is version 2.
    #[must_use]
    pub fn is_unified(&self) -> bool {
        self.dirs.contains_key("")
    }

    /// The directory of version 2, or of a version 1 controller.
    #[must_use]
    pub fn dir(&self, controller: &str) -> Option<&Path> {
        self.dirs.get("").or_else(|| self.dirs.get(controller)).map(PathBuf::as_path)
    }

    /// A file's content, without the newline at its end.
    #[must_use]
    pub fn read(&self, controller: &str, file: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.dir(controller)?.join(file)).ok()?;
        Some(text.trim_end().to_owned())
    }

    /// All processes in it and below it.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        if let Some(dir) = self.dir("pids").or_else(|| self.dirs.values().next().map(PathBuf::as_path)) {
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
            match signal_process(pid, number) {
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
        if let Some(dir) = self.dirs.get("")
            && std::fs::write(dir.join("cgroup.kill"), "1").is_ok()
        {
            return Ok(());
        }
        self.signal(SIGKILL)
    }

    /// Kills until nobody is left; false when somebody is after `limit`.
    #[must_use]
    pub fn kill_all(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        loop {
            // Its failure shows in who is left.
            self.kill().ok();
            if self.pids().is_empty() {
                return true;
            }
            if begun.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Removes it with what is below it; used and missing directories stay as they are.
    pub fn remove(&self) {
        for dir in self.dirs.values() {
            remove_tree(dir, DEPTH_LIMIT);
        }
    }

    /// How many of its processes the kernel has killed for want of memory.
    #[must_use]
    pub fn out_of_memory_kills(&self) -> u64 {
        let file = if self.is_unified() { "memory.events" } else { "memory.oom_control" };
        self.read("memory", file).and_then(|text| value(&text, "oom_kill")).unwrap_or_default()
    }
}

/// Signals one process.
///
/// # Errors
/// What kill(2) says; `ESRCH` when it is gone.
pub fn signal_process(pid: u32, number: u32) -> Result<(), Errno> {
    // 0 and negative numbers would mean groups of processes.
    kill(i32::try_from(pid).ok().filter(|pid| *pid > 0).ok_or(Errno::ESRCH)?, number)
}

/// The number behind `key` in a file of lines `KEY VALUE`.
#[must_use]
pub fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The path without its slash; `None` for the root, and for what leads out of it.
fn below_root(path: &str) -> Option<&str> {
    let relative = path.trim_start_matches('/');
    let climbs = Path::new(relative).components().any(|part| !matches!(part, Component::Normal(_)));
    (!relative.is_empty() && !climbs).then_some(relative)
}

fn collect_pids(dir: &Path, depth: usize, pids: &mut Vec<u32>) {
    if let Ok(text) = std::fs::read_to_string(dir.join("cgroup.procs")) {
        pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid > 1));
    }
    for child in children(dir, depth) {
        collect_pids(&child, depth - 1, pids);
    }
}

fn remove_tree(dir: &Path, depth: usize) {
    for child in children(dir, depth) {
        remove_tree(&child, depth - 1);
    }
    // Gone already or still used: neither is for us to change, and creating it again shows what is wrong.
    std::fs::remove_dir(dir).ok();
}

fn children(dir: &Path, depth: usize) -> Vec<PathBuf> {
    if depth == 0 {
        return Vec::new();
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// The directories of the cgroup that `/proc/PID/cgroup` (cgroups(7)) tells.
fn choose(text: &str, own: &str, unified: bool) -> Option<Cgroup> {
    let mut dirs = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        // Nothing that is done to a container may be done to the whole machine, or to those that look after it.
        if own.lines().any(|own| own == line) {
            continue;
        }
        let Some(relative) = below_root(path) else { continue };
        if unified {
            if number == "0" {
                dirs.insert(String::new(), Path::new(ROOT).join(relative));
            }
        } else if let Some(tree) = below_root(controllers.strip_prefix("name=").unwrap_or(controllers)) {
            let mount = Path::new(ROOT).join(tree);
            for controller in controllers.split(',') {
                dirs.insert(controller.to_owned(), mount.join(relative));
            }
        }
    }
    (!dirs.is_empty()).then_some(Cgroup { dirs })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn version_2_has_one_directory() {
        let cgroup = choose("0::/services/slapd\n", "0::/\n", true).unwrap();
        assert!(cgroup.is_unified());
        assert_eq!(cgroup.dir("memory"), Some(Path::new("/sys/fs/cgroup/services/slapd")));
    }

    #[test]
    fn version_1_has_one_for_each_controller() {
        let text = "3:cpu,cpuacct:/slapd\n2:memory:/slapd\n1:name=systemd:/\n";
        let cgroup = choose(text, "", false).unwrap();
        assert!(!cgroup.is_unified());
        assert_eq!(cgroup.dir("cpuacct"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct/slapd")));
        assert_eq!(cgroup.dir("memory"), Some(Path::new("/sys/fs/cgroup/memory/slapd")));
        assert_eq!(cgroup.dir("pids"), None);
    }

    #[test]
    fn neither_the_roots_nor_our_own_cgroup_is_a_containers() {
        assert_eq!(choose("0::/\n", "0::/\n", true), None);
        assert_eq!(choose("0::/engine\n", "0::/engine\n", true), None);
        assert_eq!(Cgroup::named("/"), None);
        assert_eq!(Cgroup::named("/../x"), None);
    }

    #[test]
    fn counters_are_found_by_their_whole_name() {
        let text = "low 0\noom 5\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(value(text, "oom_kill"), Some(2));
        assert_eq!(value(text, "oom"), Some(5));
        assert_eq!(value(text, "max"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_cgroup_or_none(text in "\\PC{0,100}", unified in any::<bool>()) {
            if let Some(cgroup) = choose(&text, "", unified) {
                prop_assert!(cgroup.dirs.values().all(|dir| dir.starts_with(ROOT)));
            }
        }
    }
}
