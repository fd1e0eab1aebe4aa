//! What can be wrong with a command line.

/// Why a command line was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No command, or none of ours.
    #[error("unknown command {0:?}")]
    Command(String),
    /// An option that the command does not have.
    #[error("unknown option {0:?}")]
    Option(String),
    /// An option without its value.
    #[error("option {0} needs a value")]
    Value(String),
    /// A value that the option cannot have.
    #[error("option {option} cannot be {value:?}")]
    BadValue {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
    },
    /// Something that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// More ids than the command takes.
    #[error("{0:?} is one argument too many")]
    Extra(String),
    /// An id that cannot be a file name, a cgroup and a containerd id at once.
    #[error(
        "container id {0:?} may only have letters, digits, '.', '_', '-', '+', and must begin with a letter or digit"
    )]
    Id(String),
    /// Not a process id.
    #[error("process id {0:?} is not a positive number")]
    Pid(String),
    /// Not a signal.
    #[error("{0:?} is no signal")]
    Signal(String),
}
