//! What is known of a container that was created: libcontainer's state, and ours beside it.

use std::fmt;
use std::path::{Path, PathBuf};

use libcontainer::container::{Container, ContainerStatus};
use serde::{Deserialize, Serialize};

use super::cgroup::Cgroup;
use super::{RuntimeError, read_bounded};
use crate::watch::process::ProcessId;

/// Our part of a container's state, in the directory of libcontainer's.
const NOTE: &str = "lkb.json";
/// What a process of libcontainer's is called until it executes the container's program.
const WAITING: &str = "youki:[2:INIT]\n";
const LIMIT: u64 = 1 << 16;

/// What libcontainer does not keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The bundle that the container was created from; libcontainer's is the one derived from it.
    pub bundle: PathBuf,
    /// Root filesystem on the host.
    pub rootfs: PathBuf,
    /// When the first process was started, in clock ticks since boot: a number alone may be another process's later.
    pub started: u64,
}

/// How far a container has come (OCI runtime-spec, runtime.md, "State").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Being made.
    Creating,
    /// Made; its program has not been executed.
    Created,
    /// Its program runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its first process has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// A container, looked up.
#[derive(Debug, Clone)]
pub struct Known {
    /// libcontainer's part.
    pub container: Container,
    /// Ours; `None` while the container is being made.
    pub note: Option<Note>,
    bundles: PathBuf,
}

/// Where the configuration that libcontainer reads is kept; no container's id begins with a dot.
pub fn derived(root: &Path, id: &str) -> PathBuf {
    root.join(".bundles").join(id)
}

impl Known {
    /// Looks container `id` up below `root`.
    ///
    /// # Errors
    /// [`RuntimeError::NotFound`] when there is none; another when its state cannot be read.
    pub fn load(root: &Path, id: &str) -> Result<Self, RuntimeError> {
        let dir = root.join(id);
        if !dir.exists() {
            return Err(RuntimeError::NotFound);
        }
        let container = Container::load(dir.clone()).map_err(RuntimeError::container("look up"))?;
        let path = dir.join(NOTE);
        let note = match read_bounded(&path, LIMIT) {
            Ok(bytes) => {
                Some(serde_json::from_slice(&bytes).map_err(|source| RuntimeError::Json { path, source })?)
            }
            Err(RuntimeError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { container, note, bundles: derived(root, id) })
    }

    /// Keeps `note` for the container below `root`.
    pub fn write_note(root: &Path, id: &str, note: &Note) -> Result<(), RuntimeError> {
        super::write_whole(&root.join(id).join(NOTE), note)
    }

    /// The first process, dead or alive.
    #[must_use]
    pub fn init(&self) -> Option<ProcessId> {
        let pid = u32::try_from(self.container.pid()?.as_raw()).ok()?;
        Some(ProcessId { pid, started: self.note.as_ref()?.started })
    }

    /// The first process, if it has not ended.
    #[must_use]
    pub fn alive(&self) -> Option<ProcessId> {
        self.init().filter(|id| id.is_alive())
    }

    /// How far it has come.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.note.is_none() {
            return Status::Creating;
        }
        let Some(init) = self.alive() else { return Status::Stopped };
        match self.container.status() {
            ContainerStatus::Paused => Status::Paused,
            // Whoever started it may have been killed before that was noted, so the process is asked.
            ContainerStatus::Created | ContainerStatus::Creating if is_waiting(init.pid) => Status::Created,
            _ => Status::Running,
        }
    }

    /// Its cgroup.
    pub fn cgroup(&self) -> Result<Cgroup, RuntimeError> {
        Cgroup::noted(&self.bundles)
    }
}

fn is_waiting(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == WAITING)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A container as libcontainer writes it, whose first process is `pid`.
    fn made(root: &Path, id: &str, pid: u32, status: ContainerStatus) -> PathBuf {
        let dir = root.join(id);
        std::fs::create_dir_all(&dir).unwrap();
        let mut container =
            Container::new(id, status, Some(i32::try_from(pid).unwrap()), root, &dir).unwrap();
        container.set_status(status).save().unwrap();
        dir
    }

    #[test]
    fn a_process_with_a_dead_ones_number_is_not_the_containers() {
        let root = tempfile::tempdir().unwrap();
        let me = ProcessId::of(std::process::id()).unwrap();
        made(root.path(), "a", me.pid, ContainerStatus::Running);
        let note = |started| Note { bundle: "/c/a".into(), rootfs: "/c/a/rootfs".into(), started };
        Known::write_note(root.path(), "a", &note(me.started)).unwrap();
        assert_eq!(Known::load(root.path(), "a").unwrap().status(), Status::Running);
        Known::write_note(root.path(), "a", &note(me.started + 1)).unwrap();
        let known = Known::load(root.path(), "a").unwrap();
        assert_eq!((known.status(), known.alive()), (Status::Stopped, None));
    }

    #[test]
    fn a_container_that_was_started_by_one_who_died_is_running() {
        let root = tempfile::tempdir().unwrap();
        let me = ProcessId::of(std::process::id()).unwrap();
        made(root.path(), "a", me.pid, ContainerStatus::Created);
        assert_eq!(Known::load(root.path(), "a").unwrap().status(), Status::Creating);
        let note = Note { bundle: "/c/a".into(), rootfs: "/c/a/rootfs".into(), started: me.started };
        Known::write_note(root.path(), "a", &note).unwrap();
        // This process is not called as libcontainer's are.
        assert_eq!(Known::load(root.path(), "a").unwrap().status(), Status::Running);
    }

    #[test]
    fn what_was_never_created_is_not_found() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(Known::load(root.path(), "a"), Err(RuntimeError::NotFound)));
    }
}
