//! Whether the kernel killed processes of a container for want of memory.

use crate::cgroup::Cgroup;

/// A container's cgroup, and how many of its processes had been killed for memory when it was first looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OomWatch {
    cgroup: Cgroup,
    before: u64,
}

impl OomWatch {
    /// Of the container whose first process is `pid`; `None` when it has no cgroup that counts.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        // A process that has ended already is in none.
        Self::on(Cgroup::of(pid).ok()??)
    }

    fn on(cgroup: Cgroup) -> Option<Self> {
        let before = cgroup.out_of_memory_kills()?;
        Some(Self { cgroup, before })
    }

    /// Whether one has been killed since. The cgroup must still be there, with nobody in it perhaps.
    #[must_use]
    pub fn has_killed(&self) -> bool {
        self.cgroup.out_of_memory_kills() > Some(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_noticed_while_the_cgroup_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let counter = dir.path().join("memory.events");
        assert_eq!(OomWatch::on(Cgroup::in_directory(dir.path())), None);
        std::fs::write(&counter, "oom_kill 1\n").unwrap();
        let watch = OomWatch::on(Cgroup::in_directory(dir.path())).unwrap();
        for (text, killed) in [("oom_kill 1\n", false), ("oom_kill 2\n", true), ("", false)] {
            std::fs::write(&counter, text).unwrap();
            assert_eq!(watch.has_killed(), killed, "{text}");
        }
        std::fs::remove_file(&counter).unwrap();
        assert!(!watch.has_killed());
    }
}
