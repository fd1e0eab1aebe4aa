//! The keys of a container.

use super::form::{
    ABSOLUTE, BIND, CAPABILITY, CONTAINER_NAME, IMAGE, MODE, NAMESPACE, NETWORK, REGEX, RLIMIT, SIGNAL, TMPFS,
};
use super::resources::{DEVICE_NUMBER, DEVICE_TYPES, RESOURCES, U32};
use super::{Field, Form, Kind, TEXT, TEXTS, optional, required};

/// What the YAML says of a container and a label cannot.
pub(super) const CONTAINER: &[Field] = &[
    required("name", CONTAINER_NAME, "Its name: a file name; unique among services."),
    required("image", IMAGE, "The image."),
];

const PROPAGATIONS: &[&str] =
    &["", "shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable"];

const ID_MAPPINGS: Kind = Kind::List(&Kind::Object(&[ID_MAPPING]));

/// How it is to run. In every field, absent means "as the image's label says, or else its configuration".
pub(super) const OVERRIDES: &[Field] = &[
    optional("command", TEXTS, "Program and arguments."),
    optional("env", TEXTS, "Environment, as `NAME=VALUE`."),
    optional("cwd", ABSOLUTE, "Working directory."),
    optional("capabilities", Kind::List(&CAPABILITY), "Capabilities by name; `all` or `none` alone."),
    optional(
        "capabilities.add",
        Kind::List(&CAPABILITY),
        "Capabilities in addition to those of the lower layer.",
    ),
    optional("ambient", Kind::List(&CAPABILITY), "Ambient capabilities."),
    optional("mounts", Kind::List(&Kind::Object(&[MOUNT])), "Mounts, by destination over the default ones."),
    optional(
        "binds",
        Kind::List(&BIND),
        "Binds, as `SOURCE:DESTINATION[:OPTION,…]`; a source without a leading `/` is a volume.",
    ),
    optional("binds.add", Kind::List(&BIND), "Binds in addition to those of the lower layer."),
    optional("tmpfs", Kind::List(&TMPFS), "File systems in memory, as `DESTINATION[:OPTION,…]`."),
    optional("devices", Kind::List(&Kind::Object(&[DEVICE])), "Device nodes, or classes of devices."),
    optional("net", NETWORK, "Network namespace: `host` (or `root`), `new` (or `none`), or a path."),
    optional("pid", NAMESPACE, "PID namespace: `new`, `host` (or `root`), or a path."),
    optional("ipc", NAMESPACE, "IPC namespace: `host` (or `root`), `new`, or a path."),
    optional("uts", NAMESPACE, "UTS namespace: `host` (or `root`), `new`, or a path."),
    optional("userns", NAMESPACE, "User namespace: `host` (or `root`), `new`, or a path."),
    optional("hostname", TEXT, "Host name; needs a UTS namespace of its own."),
    optional("readonly", Kind::Bool, "Whether the root filesystem is read-only."),
    optional("maskedPaths", TEXTS, "Paths that are hidden."),
    optional("readonlyPaths", TEXTS, "Paths that are read-only."),
    optional("uid", Kind::Id, "User."),
    optional("gid", Kind::Id, "Group."),
    optional("additionalGids", Kind::List(&Kind::Id), "Supplementary groups."),
    optional("noNewPrivileges", Kind::Bool, "Whether set-uid programs and file capabilities have no effect."),
    optional(
        "oomScoreAdj",
        Kind::Int(-1000, 1000),
        "How readily the kernel kills it for memory, from -1000 (never) to 1000.",
    ),
    optional(
        "rootfsPropagation",
        Kind::Text(Form::OneOf(PROPAGATIONS)),
        "Mount propagation of the root filesystem.",
    ),
    optional("cgroupsPath", TEXT, "Path of its cgroup."),
    optional("resources", Kind::Object(&[RESOURCES]), "Limits by cgroup."),
    optional("sysctl", Kind::Map(&TEXT), "Kernel parameters of its namespaces."),
    optional("rlimits", Kind::List(&RLIMIT), "Limits by setrlimit(2), as `NAME,SOFT,HARD`."),
    optional("uidMappings", ID_MAPPINGS, "Users of a user namespace."),
    optional("gidMappings", ID_MAPPINGS, "Groups of a user namespace."),
    optional("annotations", Kind::Map(&TEXT), "Free text for whoever looks at the container."),
    optional("runtime", Kind::Object(&[RUNTIME]), "What init prepares around the container."),
];

/// What it may ask the kernel for, in the words of Docker's command line.
pub(super) const ISOLATION: &[Field] = &[
    optional("cgroupns", NAMESPACE, "cgroup namespace: `host` (or `root`), `new`, or a path."),
    optional(
        "seccomp",
        Kind::Text(Form::OneOf(&["default", "unconfined"])),
        "Which system calls are allowed: `default`, or all where it is `unconfined`.",
    ),
];

/// How it is looked after.
pub(super) const SUPERVISION: &[Field] = &[
    optional(
        "restart",
        Kind::Text(Form::OneOf(&["always", "on-failure", "never"])),
        "When a service that ended is started again.",
    ),
    optional("ready", Kind::Object(&[PROBE, READY]), "How one knows that a service serves."),
    optional(
        "health",
        Kind::OrNone(&Kind::Object(&[PROBE, HEALTH])),
        "How a service that serves is looked after.",
    ),
    optional("stop", Kind::Object(&[STOP]), "How a service is stopped."),
    optional("timeout", Kind::Period(1), "How long a container that runs once may take."),
    optional(
        "onFailure",
        Kind::Text(Form::OneOf(&["continue", "stop", "reboot", "poweroff"])),
        "What follows when an `onboot` container fails.",
    ),
];

/// When it is started, among others.
pub(super) const ORDER: &[Field] = &[
    optional("after", TEXTS, "Services that must be ready, or have ended, before this one is started."),
    optional(
        "requires",
        TEXTS,
        "Services that must be ready before this one is started, and that are stopped after it.",
    ),
];

const PROBE: &[Field] = &[
    optional("log", REGEX, "A regular expression that a line of its log matches."),
    optional("tcp", Kind::Int(1, u16::MAX as i128), "A TCP port that takes connections."),
    optional("exec", TEXTS, "A command that succeeds in the container."),
    optional("file", ABSOLUTE, "A path that is there in the container."),
];

const READY: &[Field] = &[optional("timeout", Kind::Period(1), "How long it may take from its start.")];

const HEALTH: &[Field] = &[
    // A check that is made more often than this has the machine do nothing else.
    optional("interval", Kind::Period(100), "Time from one check to the next."),
    optional("timeout", Kind::Period(1), "How long a check may take."),
    optional(
        "retries",
        Kind::Int(1, u32::MAX as i128),
        "How many checks in a row must fail until the service is started afresh.",
    ),
    optional("startPeriod", Kind::Period(0), "How long after the start failures do not count."),
];

const STOP: &[Field] = &[
    optional("signal", SIGNAL, "The signal that asks it, by name or number."),
    optional("grace", Kind::Period(0), "How long it may take before it is killed."),
];

const MOUNT: &[Field] = &[
    optional("destination", TEXT, "Where in the container."),
    optional("type", TEXT, "File system type, or `bind`."),
    optional("source", TEXT, "What."),
    optional("options", TEXTS, "fstab(5) options."),
    optional("uidmappings", ID_MAPPINGS, "Users of an id-mapped mount."),
    optional("gidmappings", ID_MAPPINGS, "Groups of an id-mapped mount."),
];

const ID_MAPPING: &[Field] = &[
    required("containerID", U32, "First id in the container."),
    required("hostID", U32, "First id on the host."),
    required("size", U32, "Number of ids."),
];

const DEVICE: &[Field] = &[
    required("path", TEXT, "Where in the container, or `all`."),
    required("type", Kind::Text(Form::OneOf(DEVICE_TYPES)), "`c`, `b`, `u`, `p`; `a` with `all`."),
    optional("major", DEVICE_NUMBER, "Major number."),
    optional("minor", DEVICE_NUMBER, "Minor number."),
    optional("mode", MODE, "Octal permission bits, in quotes; needed unless the path is `all`."),
];

const RUNTIME: &[Field] = &[
    optional("cgroups", TEXTS, "cgroups to make."),
    optional("mounts", Kind::List(&Kind::Object(&[HOST_MOUNT])), "Mounts to make on the host."),
    optional("mkdir", TEXTS, "Directories to make on the host."),
    optional("interfaces", Kind::List(&Kind::Object(&[INTERFACE])), "Network interfaces for the container."),
    optional("bindNS", Kind::Object(&[BIND_NAMESPACES]), "Where its namespaces are kept."),
    optional("namespace", TEXT, "containerd's namespace, for a service."),
];

const HOST_MOUNT: &[Field] = &[
    required("destination", TEXT, "Where; relative paths are below the container's rootfs."),
    optional("type", TEXT, "File system type; empty for bind mounts and remounts."),
    optional("source", TEXT, "What: a device, a directory, or the type's name."),
    optional("options", TEXTS, "fstab(5) options."),
];

const INTERFACE: &[Field] = &[
    required("name", TEXT, "Name inside the container."),
    optional("add", TEXT, "Link type to make, such as `veth`; without it, an existing link is moved in."),
    optional("peer", TEXT, "Name of the other end, for `veth`."),
    optional("createInRoot", Kind::Bool, "Make the link in the root namespace first and move it then."),
];

const BIND_NAMESPACES: &[Field] = &[
    optional("cgroup", TEXT, "Where its cgroup namespace is bound."),
    optional("ipc", TEXT, "Where its IPC namespace is bound."),
    optional("mnt", TEXT, "Where its mount namespace is bound."),
    optional("net", TEXT, "Where its network namespace is bound."),
    optional("pid", TEXT, "Where its PID namespace is bound."),
    optional("user", TEXT, "Where its user namespace is bound."),
    optional("uts", TEXT, "Where its UTS namespace is bound."),
];
