//! How a container is to run: the fields that a YAML's container and an image's label have in common.
//!
//! In every field, absent means "as the next lower layer says": YAML, then label, then image configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::check::check;
use super::document::Document;
use super::period::Period;
use super::problem::ConfigError;
use super::resources::Resources;
use super::rules;
use super::schema;
use super::supervision::{Health, Ready, Stop};
use super::types::Id;
use super::yaml::Value;

/// The name of the label that carries a package's own [`Overrides`] as JSON.
pub const LABEL: &str = "org.mobyproject.config";

macro_rules! overrides {
    ($($(#[doc = $doc:literal])+ $(#[serde($attr:meta)])? $name:ident: $type:ty,)+) => {
        /// How a container is to run. All fields are optional; the keys are LinuxKit's, but for those from
        /// [`Overrides::cgroupns`] on.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, rename_all = "camelCase", deny_unknown_fields)]
        pub struct Overrides {
            $(
                $(#[doc = $doc])+
                $(#[serde($attr)])?
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )+
        }

        /// What is said of each field above, for the test that the schema says the same.
        #[cfg(test)]
        pub(super) const ABOUT: &[&str] = &[$(concat!($($doc),+),)+];
    };
}

overrides! {
    /// Program and arguments.
    command: Vec<String>,
    /// Environment, as `NAME=VALUE`.
    env: Vec<String>,
    /// Working directory.
    cwd: String,
    /// Capabilities by name; `all` or `none` alone.
    capabilities: Vec<String>,
    /// Capabilities in addition to those of the lower layer.
    #[serde(rename = "capabilities.add")]
    capabilities_add: Vec<String>,
    /// Ambient capabilities.
    ambient: Vec<String>,
    /// Mounts, by destination over the default ones.
    mounts: Vec<Mount>,
    /// Binds, as `SOURCE:DESTINATION[:OPTION,…]`; a source without a leading `/` is a volume.
    binds: Vec<String>,
    /// Binds in addition to those of the lower layer.
    #[serde(rename = "binds.add")]
    binds_add: Vec<String>,
    /// File systems in memory, as `DESTINATION[:OPTION,…]`.
    tmpfs: Vec<String>,
    /// Device nodes, or classes of devices.
    devices: Vec<Device>,
    /// Network namespace: `host` (or `root`), `new` (or `none`), or a path.
    net: String,
    /// PID namespace: `new`, `host` (or `root`), or a path.
    pid: String,
    /// IPC namespace: `host` (or `root`), `new`, or a path.
    ipc: String,
    /// UTS namespace: `host` (or `root`), `new`, or a path.
    uts: String,
    /// User namespace: `host` (or `root`), `new`, or a path.
    userns: String,
    /// Host name; needs a UTS namespace of its own.
    hostname: String,
    /// Whether the root filesystem is read-only.
    readonly: bool,
    /// Paths that are hidden.
    masked_paths: Vec<String>,
    /// Paths that are read-only.
    readonly_paths: Vec<String>,
    /// User.
    uid: Id,
    /// Group.
    gid: Id,
    /// Supplementary groups.
    additional_gids: Vec<Id>,
    /// Whether set-uid programs and file capabilities have no effect.
    no_new_privileges: bool,
    /// How readily the kernel kills it for memory, from -1000 (never) to 1000.
    oom_score_adj: i32,
    /// Mount propagation of the root filesystem.
    rootfs_propagation: String,
    /// Path of its cgroup.
    cgroups_path: String,
    /// Limits by cgroup.
    resources: Resources,
    /// Kernel parameters of its namespaces.
    sysctl: BTreeMap<String, String>,
    /// Limits by setrlimit(2), as `NAME,SOFT,HARD`.
    rlimits: Vec<String>,
    /// Users of a user namespace.
    uid_mappings: Vec<IdMapping>,
    /// Groups of a user namespace.
    gid_mappings: Vec<IdMapping>,
    /// Free text for whoever looks at the container.
    annotations: BTreeMap<String, String>,
    /// What init prepares around the container.
    runtime: RuntimeOverrides,
    /// cgroup namespace: `host` (or `root`), `new`, or a path.
    cgroupns: String,
    /// Which system calls are allowed: `default`, or all where it is `unconfined`.
    seccomp: String,
    /// When a service that ended is started again.
    restart: image_layout::Restart,
    /// Services that must be ready, or have ended, before this one is started.
    after: Vec<String>,
    /// Services that must be ready before this one is started, and that are stopped after it.
    requires: Vec<String>,
    /// How one knows that a service serves.
    ready: Ready,
    /// How a service that serves is looked after.
    health: Health,
    /// How a service is stopped.
    stop: Stop,
    /// How long a container that runs once may take.
    timeout: Period,
    /// What follows when an `onboot` container fails.
    on_failure: image_layout::OnFailure,
}

impl Overrides {
    /// Reads the text of an image's label [`LABEL`].
    ///
    /// # Errors
    /// When it is not JSON (or YAML), or is not what the schema allows; `name`, `image`, `after` and `requires`
    /// are forbidden.
    pub fn from_label(json: &str) -> Result<Overrides, ConfigError> {
        let mut document = Document::read(&format!("label {LABEL}"), json, None);
        let mut forbidden = Vec::new();
        if let Value::Map(entries) = &mut document.root.value {
            entries.retain(|(key, _)| {
                let set = matches!(key.text.as_str(), "name" | "image" | "after" | "requires");
                if set {
                    forbidden.push((key.at, format!("{} cannot be set in a label", key.text)));
                }
                !set
            });
        }
        for (at, message) in forbidden {
            document.problem(at, message);
        }
        check(&mut document, &schema::LABEL);
        rules::check_label(&mut document);
        if document.problems.is_empty() {
            match serde_json::from_value(document.root.to_json()) {
                Ok(overrides) => return Ok(overrides),
                Err(error) => document.problem(document.root.at, error.to_string()),
            }
        }
        document.problems.sort_by_key(|problem| (problem.spot.line, problem.spot.column));
        Err(ConfigError { problems: document.problems, warnings: document.warnings })
    }
}

/// A mount; empty fields are inferred from the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Where in the container.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub destination: String,
    /// File system type, or `bind`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// What.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// fstab(5) options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Users of an id-mapped mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uidmappings: Vec<IdMapping>,
    /// Groups of an id-mapped mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gidmappings: Vec<IdMapping>,
}

/// A stretch of user or group ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// First id in the container.
    #[serde(rename = "containerID")]
    pub container: u32,
    /// First id on the host.
    #[serde(rename = "hostID")]
    pub host: u32,
    /// Number of ids.
    pub size: u32,
}

/// A device node, or (path `all`) all devices of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Where in the container, or `all`.
    pub path: String,
    /// `c`, `b`, `u`, `p`; `a` with `all`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Major number.
    #[serde(default)]
    pub major: i64,
    /// Minor number.
    #[serde(default)]
    pub minor: i64,
    /// Octal permission bits; needed unless the path is `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// What init prepares around a container; each field by itself overrides the lower layer's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuntimeOverrides {
    /// cgroups to make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroups: Option<Vec<String>>,
    /// Mounts to make on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<image_layout::Mount>>,
    /// Directories to make on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mkdir: Option<Vec<String>>,
    /// Network interfaces for the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<image_layout::Interface>>,
    /// Where its namespaces are kept.
    #[serde(rename = "bindNS", skip_serializing_if = "Option::is_none")]
    pub bind_ns: Option<BindNamespaces>,
    /// containerd's namespace, for a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Paths on which namespaces are bind-mounted, to outlive the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindNamespaces {
    /// cgroup namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// IPC namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipc: Option<String>,
    /// Mount namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mnt: Option<String>,
    /// Network namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<String>,
    /// PID namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<String>,
    /// User namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// UTS namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uts: Option<String>,
}
