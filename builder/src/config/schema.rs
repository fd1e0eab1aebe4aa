//! The keys of the YAML and the kinds of their values, as data.
//!
//! Source: LinuxKit's documentation and JSON schema; [`SUPERVISION`] and [`ORDER`] are ours. Keys are case-sensitive.

use super::syntax;

/// What a value must be.
#[derive(Debug)]
pub(super) enum Kind {
    /// A string in this form.
    Text(Form),
    /// `true` or `false`.
    Bool,
    /// A whole number from the first to the second, inclusive.
    Int(i128, i128),
    /// A user or group: a number, or the name of a container.
    Id,
    /// A length of time of at least this many milliseconds.
    Period(u64),
    /// The word `none`, or this.
    OrNone(&'static Kind),
    /// A list of this.
    List(&'static Kind),
    /// A mapping from any key to this.
    Map(&'static Kind),
    /// A mapping with these keys and no others.
    Object(&'static [&'static [Field]]),
}

/// A key of a [`Kind::Object`].
#[derive(Debug)]
pub(super) struct Field {
    /// The key.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
}

/// What a string must look like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// Anything.
    Any,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// What this function accepts.
    Checked(fn(&str) -> Result<(), String>),
}

impl Form {
    /// Checks `text`.
    pub fn check(self, text: &str) -> Result<(), String> {
        match self {
            Form::Any => Ok(()),
            Form::Checked(check) => check(text),
            Form::OneOf(words) if words.contains(&text) => Ok(()),
            Form::OneOf(words) => {
                let list: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                Err(format!("`{text}` must be one of the following: {}", list.join(", ")))
            }
        }
    }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

const fn checked(check: fn(&str) -> Result<(), String>) -> Kind {
    Kind::Text(Form::Checked(check))
}

fn is_bind(text: &str) -> Result<(), String> {
    syntax::bind(text).map(drop)
}

fn is_tmpfs(text: &str) -> Result<(), String> {
    syntax::tmpfs(text).map(drop)
}

fn is_rlimit(text: &str) -> Result<(), String> {
    syntax::rlimit(text).map(drop)
}

fn is_mode(text: &str) -> Result<(), String> {
    syntax::octal_mode(text).map(drop)
}

fn is_regex(text: &str) -> Result<(), String> {
    // The library that init searches with, so that nothing is built that does not run.
    match regex_lite::Regex::new(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("`{text}` is not a regular expression: {error}")),
    }
}

fn is_namespace_or_none(text: &str) -> Result<(), String> {
    if text == "none" { Ok(()) } else { syntax::namespace(text) }
}

const TEXT: Kind = Kind::Text(Form::Any);
const TEXTS: Kind = Kind::List(&Kind::Text(Form::Any));
const IMAGE: Kind = checked(syntax::image);
const U16: Kind = Kind::Int(0, u16::MAX as i128);
const U32: Kind = Kind::Int(0, u32::MAX as i128);
const U64: Kind = Kind::Int(0, u64::MAX as i128);
const I64: Kind = Kind::Int(i64::MIN as i128, i64::MAX as i128);
const DEVICE_NUMBER: Kind = Kind::Int(0, u32::MAX as i128);
const DEVICE_TYPES: &[&str] = &["a", "b", "c", "u", "p"];
const PROPAGATIONS: &[&str] =
    &["", "shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable"];

/// The whole file.
pub(super) static CONFIG: Kind = Kind::Object(&[&[
    optional("kernel", Kind::Object(&[KERNEL])),
    optional("init", Kind::List(&IMAGE)),
    optional("volumes", Kind::List(&Kind::Object(&[VOLUME]))),
    optional("onboot", CONTAINERS),
    optional("onshutdown", CONTAINERS),
    optional("services", CONTAINERS),
    optional("files", Kind::List(&Kind::Object(&[FILE]))),
    optional("trust", Kind::Object(&[&[optional("image", TEXTS), optional("org", TEXTS)]])),
]]);

/// The label `org.mobyproject.config` of an image, which knows nothing of the machine's other containers.
pub(super) static LABEL: Kind = Kind::Object(&[OVERRIDES, SUPERVISION]);

/// A section of containers. [`BELONGS`] says which keys may stand in which.
const CONTAINERS: Kind = Kind::List(&Kind::Object(&[CONTAINER, OVERRIDES, SUPERVISION, ORDER]));

/// The keys that only some sections of containers have.
pub(super) const BELONGS: [(&str, &[&str]); 8] = [
    ("restart", &["services"]),
    ("after", &["services"]),
    ("requires", &["services"]),
    ("ready", &["services"]),
    ("health", &["services"]),
    ("stop", &["services"]),
    ("timeout", &["onboot", "onshutdown"]),
    ("onFailure", &["onboot"]),
];

/// The sections that are lists of containers.
pub(super) const CONTAINER_SECTIONS: [&str; 3] = ["onboot", "onshutdown", "services"];

/// Whether a key may stand at the top of the file.
pub(super) fn is_section(name: &str) -> bool {
    matches!(CONFIG, Kind::Object(groups) if groups.iter().any(|fields| fields.iter().any(|f| f.name == name)))
}

const KERNEL: &[Field] = &[
    optional("image", IMAGE),
    optional("cmdline", TEXT),
    optional("binary", TEXT),
    optional("tar", TEXT),
    optional("ucode", TEXT),
];

const VOLUME: &[Field] = &[
    required("name", checked(syntax::volume_name)),
    optional("image", IMAGE),
    optional("readonly", Kind::Bool),
    optional("format", Kind::Text(Form::OneOf(&["oci", "filesystem"]))),
    optional("platforms", TEXTS),
];

const FILE: &[Field] = &[
    required("path", checked(syntax::file_path)),
    optional("directory", Kind::Bool),
    optional("symlink", TEXT),
    optional("contents", TEXT),
    optional("source", TEXT),
    optional("metadata", Kind::Text(Form::OneOf(&["yaml", "json"]))),
    optional("optional", Kind::Bool),
    optional("mode", checked(is_mode)),
    optional("uid", Kind::Id),
    optional("gid", Kind::Id),
];

const CONTAINER: &[Field] = &[required("name", checked(syntax::container_name)), required("image", IMAGE)];

const OVERRIDES: &[Field] = &[
    optional("command", TEXTS),
    optional("env", TEXTS),
    optional("cwd", checked(syntax::absolute)),
    optional("capabilities", Kind::List(&checked(syntax::capability))),
    optional("capabilities.add", Kind::List(&checked(syntax::capability))),
    optional("ambient", Kind::List(&checked(syntax::capability))),
    optional("mounts", Kind::List(&Kind::Object(&[MOUNT]))),
    optional("binds", Kind::List(&checked(is_bind))),
    optional("binds.add", Kind::List(&checked(is_bind))),
    optional("tmpfs", Kind::List(&checked(is_tmpfs))),
    optional("devices", Kind::List(&Kind::Object(&[DEVICE]))),
    optional("net", checked(is_namespace_or_none)),
    optional("pid", checked(syntax::namespace)),
    optional("ipc", checked(syntax::namespace)),
    optional("uts", checked(syntax::namespace)),
    optional("userns", checked(syntax::namespace)),
    optional("hostname", TEXT),
    optional("readonly", Kind::Bool),
    optional("maskedPaths", TEXTS),
    optional("readonlyPaths", TEXTS),
    optional("uid", Kind::Id),
    optional("gid", Kind::Id),
    optional("additionalGids", Kind::List(&Kind::Id)),
    optional("noNewPrivileges", Kind::Bool),
    optional("oomScoreAdj", Kind::Int(-1000, 1000)),
    optional("rootfsPropagation", Kind::Text(Form::OneOf(PROPAGATIONS))),
    optional("cgroupsPath", TEXT),
    optional("resources", Kind::Object(&[RESOURCES])),
    optional("sysctl", Kind::Map(&TEXT)),
    optional("rlimits", Kind::List(&checked(is_rlimit))),
    optional("uidMappings", Kind::List(&Kind::Object(&[ID_MAPPING]))),
    optional("gidMappings", Kind::List(&Kind::Object(&[ID_MAPPING]))),
    optional("annotations", Kind::Map(&TEXT)),
    optional("runtime", Kind::Object(&[RUNTIME])),
];

const SUPERVISION: &[Field] = &[
    optional("restart", Kind::Text(Form::OneOf(&["always", "on-failure", "never"]))),
    optional("ready", Kind::Object(&[PROBE, &[optional("timeout", Kind::Period(1))]])),
    optional("health", Kind::OrNone(&Kind::Object(&[PROBE, HEALTH]))),
    optional(
        "stop",
        Kind::Object(&[&[optional("signal", checked(syntax::signal)), optional("grace", Kind::Period(0))]]),
    ),
    optional("timeout", Kind::Period(1)),
    optional("onFailure", Kind::Text(Form::OneOf(&["continue", "stop", "reboot", "poweroff"]))),
];

const ORDER: &[Field] = &[optional("after", TEXTS), optional("requires", TEXTS)];

const PROBE: &[Field] = &[
    optional("log", checked(is_regex)),
    optional("tcp", Kind::Int(1, u16::MAX as i128)),
    optional("exec", TEXTS),
    optional("file", checked(syntax::absolute)),
];

/// The keys of a probe: one of them must be given.
pub(super) const PROBES: [&str; 4] = ["log", "tcp", "exec", "file"];

const HEALTH: &[Field] = &[
    // A check that is made more often than this has the machine do nothing else.
    optional("interval", Kind::Period(100)),
    optional("timeout", Kind::Period(1)),
    optional("retries", Kind::Int(1, u32::MAX as i128)),
    optional("startPeriod", Kind::Period(0)),
];

const MOUNT: &[Field] = &[
    optional("destination", TEXT),
    optional("type", TEXT),
    optional("source", TEXT),
    optional("options", TEXTS),
    optional("uidmappings", Kind::List(&Kind::Object(&[ID_MAPPING]))),
    optional("gidmappings", Kind::List(&Kind::Object(&[ID_MAPPING]))),
];

const ID_MAPPING: &[Field] = &[required("hostID", U32), required("containerID", U32), required("size", U32)];

const DEVICE: &[Field] = &[
    required("path", TEXT),
    required("type", Kind::Text(Form::OneOf(DEVICE_TYPES))),
    optional("major", DEVICE_NUMBER),
    optional("minor", DEVICE_NUMBER),
    optional("mode", checked(is_mode)),
];

const RESOURCES: &[Field] = &[
    optional(
        "devices",
        Kind::List(&Kind::Object(&[&[
            required("allow", Kind::Bool),
            optional("type", Kind::Text(Form::OneOf(DEVICE_TYPES))),
            optional("major", DEVICE_NUMBER),
            optional("minor", DEVICE_NUMBER),
            optional("access", checked(syntax::device_access)),
        ]])),
    ),
    optional(
        "memory",
        Kind::Object(&[&[
            optional("limit", I64),
            optional("reservation", I64),
            optional("swap", I64),
            optional("kernel", I64),
            optional("kernelTCP", I64),
            optional("swappiness", Kind::Int(0, 100)),
            optional("disableOOMKiller", Kind::Bool),
        ]]),
    ),
    optional(
        "cpu",
        Kind::Object(&[&[
            optional("shares", U64),
            optional("quota", I64),
            optional("period", U64),
            optional("realtimeRuntime", I64),
            optional("realtimePeriod", U64),
            optional("cpus", TEXT),
            optional("mems", TEXT),
        ]]),
    ),
    optional("pids", Kind::Object(&[&[required("limit", I64)]])),
    optional(
        "blockio",
        Kind::Object(&[&[
            optional("weight", U16),
            optional("leafWeight", U16),
            optional(
                "weightDevice",
                Kind::List(&Kind::Object(&[&[
                    required("major", DEVICE_NUMBER),
                    required("minor", DEVICE_NUMBER),
                    optional("weight", U16),
                    optional("leafWeight", U16),
                ]])),
            ),
            optional("throttleReadBpsDevice", Kind::List(&Kind::Object(&[THROTTLE]))),
            optional("throttleWriteBpsDevice", Kind::List(&Kind::Object(&[THROTTLE]))),
            optional("throttleReadIOPSDevice", Kind::List(&Kind::Object(&[THROTTLE]))),
            optional("throttleWriteIOPSDevice", Kind::List(&Kind::Object(&[THROTTLE]))),
        ]]),
    ),
    optional(
        "hugepageLimits",
        Kind::List(&Kind::Object(&[&[
            required("pageSize", checked(syntax::page_size)),
            required("limit", U64),
        ]])),
    ),
    optional(
        "network",
        Kind::Object(&[&[
            optional("classID", U32),
            optional(
                "priorities",
                Kind::List(&Kind::Object(&[&[required("name", TEXT), required("priority", U32)]])),
            ),
        ]]),
    ),
];

const THROTTLE: &[Field] =
    &[required("major", DEVICE_NUMBER), required("minor", DEVICE_NUMBER), required("rate", U64)];

const RUNTIME: &[Field] = &[
    optional("cgroups", TEXTS),
    optional(
        "mounts",
        Kind::List(&Kind::Object(&[&[
            required("destination", TEXT),
            optional("type", TEXT),
            optional("source", TEXT),
            optional("options", TEXTS),
        ]])),
    ),
    optional("mkdir", TEXTS),
    optional(
        "interfaces",
        Kind::List(&Kind::Object(&[&[
            required("name", TEXT),
            optional("add", TEXT),
            optional("peer", TEXT),
            optional("createInRoot", Kind::Bool),
        ]])),
    ),
    optional(
        "bindNS",
        Kind::Object(&[&[
            optional("cgroup", TEXT),
            optional("ipc", TEXT),
            optional("mnt", TEXT),
            optional("net", TEXT),
            optional("pid", TEXT),
            optional("user", TEXT),
            optional("uts", TEXT),
        ]]),
    ),
    optional("namespace", TEXT),
];
