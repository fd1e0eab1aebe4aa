//! Why no bundle can be made of a container.

use crate::config::{ConfigError, Spot};

/// Why no bundle can be made of a container, and where in the YAML that container is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{spot}: {name} ({image}): {fault}")]
pub struct SpecError {
    /// Where the container is.
    pub spot: Spot,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Why.
    pub fault: Fault,
}

/// What is wrong with the container, its image's label or its image's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The label cannot be read.
    #[error("cannot use the image's label:\n{0}")]
    Label(ConfigError),
    /// Neither YAML, label nor image say what to run.
    #[error("there is no command: give `command`, or an image with an entrypoint")]
    NoCommand,
    /// A value is not what it should be: capability, rlimit, bind, tmpfs, mode.
    #[error("{0}")]
    Value(String),
    /// A mount does not say of which type it is.
    #[error("the mount on {destination:?} has no type, and none follows from its source")]
    MountType {
        /// Where it should be mounted.
        destination: String,
    },
    /// A mount does not say where.
    #[error("the mount of type {kind} has no destination, and none follows from its type")]
    MountDestination {
        /// Its type.
        kind: String,
    },
    /// There is no such volume.
    #[error("volume {0} not found; a path on the machine must start with `/`")]
    NoVolume(String),
    /// A read-only volume must be bound read-only.
    #[error(
        "volume {0} is read-only, but attempting to write into container read-write; bind it with the option `ro`"
    )]
    ReadonlyVolume(String),
    /// There is no container of this name, whose id is wanted.
    #[error("cannot find id: {0} is not the name of a container")]
    NoId(String),
    /// The image's USER is not in its passwd file.
    #[error("the image runs as user {0:?}, which its /etc/passwd does not have; give `uid` and `gid`")]
    NoUser(String),
    /// The image's USER has a group that is not in its group file.
    #[error("the image runs as group {0:?}, which its /etc/group does not have; give `uid` and `gid`")]
    NoGroup(String),
    /// The image's STOPSIGNAL is none.
    #[error("the image's STOPSIGNAL {0:?} is not a signal; give `stop: {{signal: …}}`")]
    StopSignal(String),
    /// The image's HEALTHCHECK has a form that nobody knows.
    #[error(
        "the image's HEALTHCHECK {0:?} begins with none of NONE, CMD, CMD-SHELL, or lacks its command; give `health`"
    )]
    Healthcheck(String),
    /// The label of an image asks a hardened machine for everything.
    #[error(
        "its image's label asks for all capabilities, which a hardened machine gives only by name: \
         write `capabilities` with those that it needs, or `capabilities: [all]`"
    )]
    AllCapabilities,
    /// There is no filter for the image's architecture.
    #[error("there is no system call filter for the architecture {0}; write `seccomp: unconfined`")]
    NoFilter(String),
    /// JSON could not be written.
    #[error("cannot write config.json: {0}")]
    Json(String),
}
