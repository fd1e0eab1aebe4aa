//! `runtime.json`: what init prepares around a container before its runtime starts it.

use serde::{Deserialize, Deserializer, Serialize};

use crate::supervision::{Health, OnFailure, Ready, Restart, Stop, is_default};

/// The whole file. LinuxKit's keys are always written, the supervisor's only when they differ from their default;
/// every key may be missing when read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Runtime {
    /// cgroups to make, relative to `/sys/fs/cgroup`.
    #[serde(deserialize_with = "null_as_empty")]
    pub cgroups: Vec<String>,
    /// Mounts to make on the host before the container is created, in this order.
    #[serde(deserialize_with = "null_as_empty")]
    pub mounts: Vec<Mount>,
    /// Directories to make on the host, after the mounts.
    #[serde(deserialize_with = "null_as_empty")]
    pub mkdir: Vec<String>,
    /// Network interfaces to move into, or make in, the container.
    #[serde(deserialize_with = "null_as_empty")]
    pub interfaces: Vec<Interface>,
    /// Paths on which the container's namespaces are bind-mounted, to outlive it.
    #[serde(rename = "bindNS", deserialize_with = "null_as_empty")]
    pub bind_ns: BindNamespaces,
    /// containerd namespace for a service; empty means the default.
    #[serde(deserialize_with = "null_as_empty")]
    pub namespace: String,
    /// When a service that ended is started again.
    #[serde(skip_serializing_if = "is_default")]
    pub restart: Restart,
    /// Services that must be ready, or have ended, before this one is started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Services that must be ready before this one is started, and that are stopped after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// How one knows that a service serves; without it, it does as soon as it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// How a service that serves is looked after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// How a service is stopped.
    #[serde(skip_serializing_if = "Stop::is_default")]
    pub stop: Stop,
    /// How long a container that runs once may take, in milliseconds.
    #[serde(rename = "timeoutMs", skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What follows when an `onboot` container fails.
    #[serde(rename = "onFailure", skip_serializing_if = "is_default")]
    pub on_failure: OnFailure,
}

/// One mount, in the words of the OCI runtime spec (config.md, "Mounts").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Where; relative paths are below the container's rootfs.
    pub destination: String,
    /// File system type; empty for bind mounts and remounts.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// What: a device, a directory, or the type's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// fstab(5) options: flags by name, all others are data for the file system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// One network interface for a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// Name inside the container.
    pub name: String,
    /// Link type to make (`veth`, `wireguard`, …); empty means that an existing link is moved in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub add: String,
    /// Name of the other end, for `veth`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub peer: String,
    /// Make the link in the root namespace first and move it then.
    #[serde(rename = "createInRoot", skip_serializing_if = "std::ops::Not::not")]
    pub create_in_root: bool,
}

/// Where each of a container's namespaces is bound; empty means nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindNamespaces {
    /// cgroup namespace.
    pub cgroup: String,
    /// IPC namespace.
    pub ipc: String,
    /// Mount namespace.
    pub mnt: String,
    /// Network namespace.
    pub net: String,
    /// PID namespace.
    pub pid: String,
    /// User namespace.
    pub user: String,
    /// UTS namespace.
    pub uts: String,
}

/// Go programs write `null` for a list that nobody filled.
fn null_as_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Probe;

    #[test]
    fn a_missing_key_reads_as_empty_and_every_key_of_linuxkit_is_written() {
        let read: Runtime = serde_json::from_str(r#"{"mkdir":["/var/lib/x"]}"#).unwrap();
        assert_eq!(read.mkdir, ["/var/lib/x"]);
        let written: serde_json::Value = serde_json::to_value(&read).unwrap();
        for key in ["cgroups", "mounts", "mkdir", "interfaces", "bindNS", "namespace"] {
            assert!(written.get(key).is_some(), "{key} is missing");
        }
    }

    #[test]
    fn null_lists_written_by_other_builders_are_understood() {
        let read: Result<Runtime, _> = serde_json::from_str(r#"{"cgroups":null,"mounts":null}"#);
        assert_eq!(read.unwrap(), Runtime::default());
    }

    #[test]
    fn what_nobody_asked_for_is_not_written() {
        let written = serde_json::to_value(Runtime::default()).unwrap();
        let keys: Vec<&String> = written.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["bindNS", "cgroups", "interfaces", "mkdir", "mounts", "namespace"]);
    }

    #[test]
    fn supervision_survives_being_written_and_read() {
        let probes = [
            (Probe::Log("ready$".into()), r#"{"log":"ready$","timeoutMs":1500}"#),
            (Probe::Tcp(389), r#"{"tcp":389,"timeoutMs":1500}"#),
            (
                Probe::Exec(vec!["/bin/check".into(), "-q".into()]),
                r#"{"exec":["/bin/check","-q"],"timeoutMs":1500}"#,
            ),
            (Probe::File("/run/x".into()), r#"{"file":"/run/x","timeoutMs":1500}"#),
        ];
        for (probe, json) in probes {
            let ready = Ready { probe, timeout_ms: Some(1500) };
            assert_eq!(serde_json::to_string(&ready).unwrap(), json);
            let runtime = Runtime {
                restart: Restart::OnFailure,
                after: vec!["a".into()],
                requires: vec!["b".into()],
                ready: Some(ready),
                health: Some(Health {
                    probe: Probe::Tcp(389),
                    interval_ms: Some(1),
                    timeout_ms: None,
                    retries: Some(2),
                    start_period_ms: Some(3),
                }),
                stop: Stop { signal: Some("SIGINT".into()), grace_ms: Some(0) },
                timeout_ms: Some(5),
                on_failure: OnFailure::Poweroff,
                ..Runtime::default()
            };
            let text = serde_json::to_string(&runtime).unwrap();
            assert_eq!(serde_json::from_str::<Runtime>(&text).unwrap(), runtime, "{text}");
        }
    }

    #[test]
    fn a_value_that_nobody_knows_is_an_error_that_names_it() {
        let cases = [
            (r#"{"restart":"sometimes"}"#, "sometimes"),
            (r#"{"onFailure":"explode"}"#, "explode"),
            (r#"{"ready":{"udp":53}}"#, "Probe"),
            (r#"{"health":{"tcp":70000}}"#, "70000"),
            (r#"{"stop":{"graceMs":-1}}"#, "-1"),
        ];
        for (json, word) in cases {
            let error = serde_json::from_str::<Runtime>(json).unwrap_err().to_string();
            assert!(error.contains(word), "{json}: {error}");
        }
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let read: Runtime = serde_json::from_str(r#"{"ready":{"tcp":1},"health":{"file":"/x"}}"#).unwrap();
        assert_eq!(read.ready.unwrap().timeout(), Ready::TIMEOUT);
        let health = read.health.unwrap();
        assert_eq!((health.interval(), health.timeout()), (Health::INTERVAL, Health::TIMEOUT));
        assert_eq!((health.retries(), health.start_period().as_secs()), (Health::RETRIES, 0));
        assert_eq!(read.stop.grace(), Stop::GRACE);
        assert_eq!((read.restart, read.on_failure), (Restart::Always, OnFailure::Continue));
    }
}
