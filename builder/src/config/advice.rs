//! What services could do without: advice, from the YAML alone. What an image's label says is not known here.

use super::problem::Spot;
use super::syntax;
use super::types::{Config, Container};

/// What one service could do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Where the service's name is.
    pub spot: Spot,
    /// Its name.
    pub name: String,
    /// What, and what it means to have it; at least one.
    pub could_drop: Vec<String>,
}

/// Capabilities with which a container can become the machine's superuser, and how.
const AS_GOOD_AS_ROOT: [(&str, &str); 6] = [
    ("CAP_SYS_ADMIN", "mounts anything"),
    ("CAP_SYS_MODULE", "loads code into the kernel"),
    ("CAP_SYS_RAWIO", "writes to memory and devices"),
    ("CAP_SYS_PTRACE", "takes over processes that it sees"),
    ("CAP_DAC_READ_SEARCH", "opens any file of a file system by its handle"),
    ("CAP_BPF", "loads programs into the kernel"),
];

/// What the machine is looked into or changed by, and how.
const TELLING: [(&str, &str); 5] = [
    ("/", "every file of the machine"),
    ("/dev", "every device"),
    ("/proc", "every process and setting"),
    ("/sys", "every device's settings"),
    ("/run", "the sockets of the machine's own services"),
];

/// What the services of a configuration could do without, in their order.
#[must_use]
pub fn advise(config: &Config) -> Vec<Advice> {
    let advice = config.services.iter().map(|service| Advice {
        spot: service.spot.clone(),
        name: service.name.clone(),
        could_drop: could_drop(service),
    });
    advice.filter(|advice| !advice.could_drop.is_empty()).collect()
}

fn could_drop(service: &Container) -> Vec<String> {
    let asked = &service.overrides;
    let mut found = Vec::new();
    let lists = [&asked.capabilities, &asked.capabilities_add, &asked.ambient];
    let capabilities: Vec<&str> = lists.into_iter().flatten().flatten().map(String::as_str).collect();
    if capabilities.iter().any(|name| syntax::is_all(name)) {
        found.push("`all` capabilities: name those that it needs".to_owned());
    }
    for (name, what) in AS_GOOD_AS_ROOT.iter().filter(|(name, _)| capabilities.contains(name)) {
        found.push(format!("{name}, which {what}"));
    }
    let binds = [&asked.binds, &asked.binds_add].into_iter().flatten().flatten();
    for bind in binds.filter_map(|text| syntax::bind(text).ok()) {
        let source = if bind.source == "/" { "/" } else { bind.source.trim_end_matches('/') };
        let read_only = bind.options.is_some_and(|options| options.contains(&"ro"));
        if let Some((path, what)) = TELLING.iter().find(|(path, _)| *path == source) {
            found.push(match read_only {
                true => format!("the bind of {path}: it reads {what}"),
                false => format!("the bind of {path}: it changes {what}; `ro` only reads"),
            });
        }
    }
    for (key, value, what) in [
        ("pid", &asked.pid, "it sees and signals every process"),
        ("net", &asked.net, "it listens wherever the machine does"),
        ("ipc", &asked.ipc, "it shares memory with every process"),
    ] {
        if let Some(value @ ("host" | "root")) = value.as_deref() {
            found.push(format!("`{key}: {value}`: {what}"));
        }
    }
    if asked.devices.iter().flatten().any(|device| device.path == "all") {
        found.push("`path: all` of its devices: name those that it uses".to_owned());
    }
    if asked.seccomp.as_deref() == Some("unconfined") {
        found.push("`seccomp: unconfined`: it makes any system call".to_owned());
    }
    if asked.no_new_privileges == Some(false) {
        found.push("`noNewPrivileges: false`: set-uid programs work".to_owned());
    }
    if asked.readonly == Some(false) {
        found.push("`readonly: false`: it writes to its root filesystem".to_owned());
    }
    // What is not there says nothing of a label, and is only worth a word beside what is.
    if !found.is_empty() {
        if asked.readonly.is_none() {
            found.push("a writable root filesystem: `readonly: true`, unless its label says so".to_owned());
        }
        let memory = asked.resources.as_ref().and_then(|resources| resources.memory.as_ref());
        if memory.and_then(|memory| memory.limit).is_none_or(|limit| limit < 0) {
            found.push("memory without end: `resources: {memory: {limit: BYTES}}`".to_owned());
        }
    }
    found
}
