//! Cgroups of either version (the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/cgroups.rst).
//!
//! | module | duty |
//! | --- | --- |
//! | `find` | which directories are a process's cgroup, or one with a name |
//! | `members` | the processes in it: list, signal, wait until all have ended |
//! | [`files`] | what the kernel writes into a cgroup's files, as numbers |
//!
//! Says nothing of containers: what a cgroup is for is up to those who ask.

pub mod files;
mod find;
mod members;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Where cgroups are mounted.
pub const ROOT: &str = "/sys/fs/cgroup";
/// Deeper trees than this are nobody's.
const DEPTH_LIMIT: usize = 16;

/// Whether all controllers are in one tree (cgroups(7), version 2): as long as the machine runs, or never.
#[must_use]
pub fn is_unified() -> bool {
    static UNIFIED: OnceLock<bool> = OnceLock::new();
    *UNIFIED.get_or_init(|| Path::new(ROOT).join("cgroup.controllers").exists())
}

/// A cgroup: one directory, or with version 1 one for each controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// By controller; version 2's under the empty name.
    dirs: BTreeMap<String, PathBuf>,
}

impl Cgroup {
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

    /// A file's content, without the newline at its end; `None` where the kernel does not count such a thing.
    #[must_use]
    pub fn read(&self, controller: &str, file: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.dir(controller)?.join(file)).ok()?;
        Some(text.trim_end().to_owned())
    }

    /// How many of its processes the kernel has killed for want of memory; `None` when that is not counted, or not any more.
    #[must_use]
    pub fn out_of_memory_kills(&self) -> Option<u64> {
        let file = if self.is_unified() { "memory.events" } else { "memory.oom_control" };
        files::value(&self.read("memory", file)?, "oom_kill")
    }

    /// Removes it with what is below it; what is used stays, and what is gone already is as good.
    ///
    /// # Errors
    /// Why the last one stays.
    pub fn remove(&self) -> std::io::Result<()> {
        self.dirs.values().map(|dir| remove_tree(dir, DEPTH_LIMIT)).fold(Ok(()), Result::and)
    }

    /// A directory that stands for a cgroup of version 2.
    #[cfg(test)]
    pub(crate) fn in_directory(dir: &Path) -> Self {
        Self { dirs: BTreeMap::from([(String::new(), dir.to_owned())]) }
    }
}

fn remove_tree(dir: &Path, depth: usize) -> std::io::Result<()> {
    for child in children(dir, depth) {
        // One that stays keeps those above it, and they say so.
        remove_tree(&child, depth - 1).ok();
    }
    match std::fs::remove_dir(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The cgroups directly below; none when `depth` is used up.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_while_the_cgroup_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let cgroup = Cgroup::in_directory(dir.path());
        assert_eq!(cgroup.out_of_memory_kills(), None);
        std::fs::write(dir.path().join("memory.events"), "low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
            .unwrap();
        assert_eq!(cgroup.out_of_memory_kills(), Some(2));
    }

    #[test]
    fn version_1_counts_kills_in_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let cgroup = Cgroup { dirs: BTreeMap::from([("memory".to_owned(), dir.path().to_owned())]) };
        std::fs::write(
            dir.path().join("memory.oom_control"),
            "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        )
        .unwrap();
        assert_eq!(cgroup.out_of_memory_kills(), Some(1));
    }

    #[test]
    fn a_cgroup_is_removed_with_what_is_below_it_and_without_what_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let (empty, used) = (dir.path().join("a/empty"), dir.path().join("a/used"));
        std::fs::create_dir_all(&empty).unwrap();
        std::fs::create_dir_all(&used).unwrap();
        // A directory with a file in it cannot be removed, as a cgroup with processes.
        std::fs::write(used.join("process"), "").unwrap();
        let cgroup = Cgroup::in_directory(&dir.path().join("a"));
        assert_eq!(cgroup.remove().unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
        assert!(!empty.exists() && used.exists());
        std::fs::remove_file(used.join("process")).unwrap();
        cgroup.remove().unwrap();
        assert!(!dir.path().join("a").exists());
        cgroup.remove().unwrap();
    }
}
