//! What a shim leaves for the one that cleans up after it: `shim.json` in the bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroup;
use crate::runtime::{chain, read_bounded};

const FILE: &str = "shim.json";
const LIMIT: u64 = 64 << 10;
/// No real configuration is near this size (bytes).
const CONFIG_LIMIT: u64 = 4 << 20;

/// A created container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its first process.
    pub pid: u32,
    /// That process's start, in clock ticks since boot (proc_pid_stat(5), field 22): numbers come again.
    pub started: Option<u64>,
    /// Where its processes are.
    pub cgroup: Option<Cgroup>,
    /// Whether all of them end with the first.
    pub own_pid_namespace: bool,
    /// The runtime's directory of containers.
    pub root: PathBuf,
    /// The runtime, if it is not this binary.
    pub runtime: Option<PathBuf>,
}

impl Record {
    /// Writes it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, bundle: &Path) -> std::io::Result<()> {
        let temporary = bundle.join(format!("{FILE}.new"));
        std::fs::write(&temporary, serde_json::to_vec(self)?)?;
        std::fs::rename(temporary, bundle.join(FILE))
    }

    /// Reads it; `None` when the container was never created, or it is not what it should be: then nothing is known but the
    /// configuration.
    #[must_use]
    pub fn read(bundle: &Path) -> Option<Self> {
        serde_json::from_slice(&read_bounded(&bundle.join(FILE), LIMIT).ok()?).ok()
    }

    /// Whether the process is still the one that was recorded.
    #[must_use]
    pub fn process_lives(&self) -> bool {
        self.started.is_some() && start_time(self.pid) == self.started
    }
}

/// When a process was started, in clock ticks since boot.
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 2 may contain blanks and parentheses.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// What a shim has to know of the container's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Whether all processes end with the first.
    pub own_pid_namespace: bool,
    /// `linux.cgroupsPath`
    pub cgroups_path: String,
    /// Whether anything is executed around the container.
    pub has_hooks: bool,
}

impl Config {
    /// Reads `config.json` in `bundle`.
    ///
    /// # Errors
    /// In words: the file is missing, too large, or not what it should be.
    pub fn read(bundle: &Path) -> Result<Self, String> {
        let path = bundle.join(image_layout::CONFIG);
        let bytes = read_bounded(&path, CONFIG_LIMIT).map_err(|error| chain(&error))?;
        Self::parse(&bytes).map_err(|error| format!("{} is not valid: {error}", path.display()))
    }

    fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        let spec: Spec = serde_json::from_slice(bytes)?;
        let linux = spec.linux.unwrap_or_default();
        let own = |namespace: &Namespace| {
            namespace.kind == "pid" && namespace.path.as_deref().is_none_or(str::is_empty)
        };
        Ok(Self {
            own_pid_namespace: linux.namespaces.iter().flatten().any(own),
            cgroups_path: linux.cgroups_path.unwrap_or_default(),
            has_hooks: spec.hooks.is_some_and(|hooks| !hooks.is_empty()),
        })
    }
}

#[derive(Deserialize)]
struct Spec {
    linux: Option<Linux>,
    hooks: Option<BTreeMap<String, IgnoredAny>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    namespaces: Option<Vec<Namespace>>,
    cgroups_path: Option<String>,
}

#[derive(Deserialize)]
struct Namespace {
    #[serde(rename = "type")]
    kind: String,
    path: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let record = Record {
            pid: std::process::id(),
            started: start_time(std::process::id()),
            cgroup: None,
            own_pid_namespace: true,
            root: "/run/containerd/runc/n".into(),
            runtime: None,
        };
        record.write(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path()), Some(record.clone()));
        assert!(record.process_lives());
        assert!(!Record { started: Some(1), ..record }.process_lives());
    }

    #[test]
    fn only_a_pid_namespace_of_its_own_ends_with_its_first_process() {
        let cases = [
            (r#"{"linux":{"namespaces":[{"type":"pid"}],"cgroupsPath":"/a"}}"#, true),
            (r#"{"linux":{"namespaces":[{"type":"pid","path":""}],"cgroupsPath":"/a"}}"#, true),
            (
                r#"{"linux":{"namespaces":[{"type":"pid","path":"/proc/1/ns/pid"}],"cgroupsPath":"/a"}}"#,
                false,
            ),
            (r#"{"linux":{"namespaces":[{"type":"mount"}],"cgroupsPath":"/a"}}"#, false),
        ];
        for (text, own) in cases {
            let expected = Config { own_pid_namespace: own, cgroups_path: "/a".into(), has_hooks: false };
            assert_eq!(Config::parse(text.as_bytes()).unwrap(), expected, "{text}");
        }
        assert_eq!(Config::parse(b"{}").unwrap(), Config::default());
        assert!(Config::parse(br#"{"hooks":{"poststop":[{"path":"/a"}]}}"#).unwrap().has_hooks);
    }
}
