//! Whether the kernel killed processes of a container for want of memory.

use std::path::{Path, PathBuf};

const CGROUPS: &str = "/sys/fs/cgroup";

/// A container's cgroup, and how many of its processes had been killed for memory when it was first looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OomWatch {
    counter: PathBuf,
    before: u64,
}

impl OomWatch {
    /// Of the container whose first process is `pid`; `None` when it has no cgroup that counts.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let counter = Path::new(CGROUPS).join(counter(&cgroups)?);
        let before = kills(&std::fs::read_to_string(&counter).ok()?)?;
        Some(Self { counter, before })
    }

    /// Whether one has been killed since. The cgroup must still be there, with nobody in it perhaps.
    #[must_use]
    pub fn has_killed(&self) -> bool {
        std::fs::read_to_string(&self.counter).ok().and_then(|text| kills(&text)) > Some(self.before)
    }
}

/// The file below the mount point that counts kills, from `/proc/PID/cgroup` (cgroups(7)): `memory.events` in version
/// 2, `memory.oom_control` in version 1.
fn counter(cgroups: &str) -> Option<PathBuf> {
    let of = |wanted: fn(&str, &str) -> bool| {
        cgroups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            // The root cgroup, which everybody is in who is in none, does not count for anybody.
            let path = path.strip_prefix('/').filter(|path| !path.is_empty())?;
            wanted(id, controllers).then(|| PathBuf::from(path))
        })
    };
    let first = of(|_, controllers| controllers.split(',').any(|name| name == "memory"));
    let unified = || of(|id, controllers| id == "0" && controllers.is_empty());
    match first {
        Some(path) => Some(Path::new("memory").join(path).join("memory.oom_control")),
        None => unified().map(|path| path.join("memory.events")),
    }
}

/// The line `oom_kill N` of either file.
fn kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_versions_of_cgroups_are_known() {
        let cases = [
            ("0::/services.linuxkit/slapd\n", Some("services.linuxkit/slapd/memory.events")),
            ("5:cpu:/a\n4:memory:/a/b\n0::/\n", Some("memory/a/b/memory.oom_control")),
            ("0::/\n", None),
            ("4:memory:/\n0::/x\n", Some("x/memory.events")),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(counter(text), expected.map(PathBuf::from), "{text}");
        }
        assert_eq!(kills("low 0\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), Some(1));
        assert_eq!(kills("oom 1\n"), None);
    }

    #[test]
    fn a_kill_is_noticed_while_the_cgroup_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let counter = dir.path().join("memory.events");
        let watch = OomWatch { counter: counter.clone(), before: 1 };
        for (text, killed) in [("oom_kill 1\n", false), ("oom_kill 2\n", true), ("", false)] {
            std::fs::write(&counter, text).unwrap();
            assert_eq!(watch.has_killed(), killed, "{text}");
        }
        std::fs::remove_file(&counter).unwrap();
        assert!(!watch.has_killed());
    }

    proptest! {
        #[test]
        fn any_text_is_a_file_or_not(text in "\\PC{0,200}") {
            counter(&text);
            kills(&text);
        }
    }
}
