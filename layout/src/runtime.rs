//! `runtime.json`: what init prepares around a container before its runtime starts it.

use serde::{Deserialize, Deserializer, Serialize};

/// The whole file. Every key is always written; every key may be missing when read.
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

    #[test]
    fn a_missing_key_reads_as_empty_and_every_key_is_written() {
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
}
