//! Which directories are a cgroup.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::{Cgroup, ROOT, is_unified};

impl Cgroup {
    /// The cgroup that a process is in; `None` when it is the root's or our own, which is no container's.
    ///
    /// # Errors
    /// When `/proc` does not tell.
    pub fn of(pid: u32) -> std::io::Result<Option<Self>> {
        let read = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup"));
        Ok(choose(&read(&pid.to_string())?, &read("self")?, is_unified()))
    }

    /// The cgroup with this path below the mount, if it exists; never the root's.
    #[must_use]
    pub fn named(path: &Path) -> Option<Self> {
        let relative = below_root(path)?;
        let dirs: BTreeMap<_, _> = if is_unified() {
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
}

/// The path without its slash; `None` for the root, and for what leads out of it.
fn below_root(path: &Path) -> Option<&Path> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let climbs = relative.components().any(|part| !matches!(part, Component::Normal(_)));
    (!relative.as_os_str().is_empty() && !climbs).then_some(relative)
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
        let Some(relative) = below_root(Path::new(path)) else { continue };
        if unified {
            if number == "0" {
                dirs.insert(String::new(), Path::new(ROOT).join(relative));
            }
        } else if let Some(tree) =
            below_root(Path::new(controllers.strip_prefix("name=").unwrap_or(controllers)))
        {
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
    fn the_memory_of_a_process_is_counted_where_its_version_does() {
        let cases = [
            ("0::/services.linuxkit/slapd\n", true, Some("services.linuxkit/slapd")),
            ("4:memory:/\n0::/x\n", true, Some("x")),
            ("5:cpu:/a\n4:memory:/a/b\n0::/\n", false, Some("memory/a/b")),
            ("5:cpu:/a\n4:memory:/\n0::/\n", false, None),
            ("0::/\n", true, None),
            ("", true, None),
        ];
        for (text, unified, expected) in cases {
            let cgroup = choose(text, "", unified);
            let dir = cgroup.as_ref().and_then(|cgroup| cgroup.dir("memory"));
            assert_eq!(dir, expected.map(|path| Path::new(ROOT).join(path)).as_deref(), "{text}");
        }
    }

    #[test]
    fn neither_the_roots_nor_our_own_cgroup_is_a_containers() {
        assert_eq!(choose("0::/\n", "0::/\n", true), None);
        assert_eq!(choose("0::/engine\n", "0::/engine\n", true), None);
        for path in ["", "/", "/../x", "x/../../y"] {
            assert_eq!(Cgroup::named(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn a_cgroup_is_below_the_mount_however_it_is_written() {
        for path in ["/services/a", "services/a", "//services/a"] {
            assert_eq!(below_root(Path::new(path)), Some(Path::new("services/a")), "{path}");
        }
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
