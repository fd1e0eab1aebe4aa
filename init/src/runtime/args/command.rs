//! What the runtime may be asked to do.

use std::path::PathBuf;

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A process to add to a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exec {
    /// The container's id.
    pub id: String,
    /// File with an OCI process; overrules all that follows but the files and `detach`.
    pub process: Option<PathBuf>,
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=VALUE`, added to the container's own.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// User and group, when not the container's.
    pub user: Option<(u32, Option<u32>)>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether to return when it runs, rather than when it has ended.
    pub detach: bool,
    /// Socket that gets the terminal's master side.
    pub console_socket: Option<PathBuf>,
    /// File that gets its process id.
    pub pid_file: Option<PathBuf>,
}

/// What the runtime is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make a container whose program waits for its start.
    Create {
        /// The container's directory.
        bundle: PathBuf,
        /// The container's id.
        id: String,
        /// Socket that gets the terminal's master side.
        console_socket: Option<PathBuf>,
        /// File that gets the first process's id.
        pid_file: Option<PathBuf>,
        /// Whether to do what `runtime.json` asks for as well.
        prepare: bool,
    },
    /// Let a created container's program run.
    Start {
        /// The container's id.
        id: String,
    },
    /// Print what is known of a container, as JSON.
    State {
        /// The container's id.
        id: String,
    },
    /// Send a signal.
    Kill {
        /// The container's id.
        id: String,
        /// The signal's number.
        signal: u32,
        /// Whether all processes get it, or the first only.
        all: bool,
    },
    /// Forget an ended container.
    Delete {
        /// The container's id.
        id: String,
        /// Whether to kill it first if need be, and not to mind when there is none.
        force: bool,
    },
    /// Add a process.
    Exec(Exec),
    /// List the processes.
    Ps {
        /// The container's id.
        id: String,
        /// How.
        format: Format,
    },
    /// Freeze all processes.
    Pause {
        /// The container's id.
        id: String,
    },
    /// Let frozen processes go on.
    Resume {
        /// The container's id.
        id: String,
    },
    /// Change the limits.
    Update {
        /// The container's id.
        id: String,
        /// File with OCI resources; `-` is standard input.
        resources: PathBuf,
    },
    /// Print the resources in use, as JSON.
    Events {
        /// The container's id.
        id: String,
    },
    /// List the containers.
    List {
        /// How.
        format: Format,
        /// Ids only.
        quiet: bool,
    },
    /// Print the version.
    Version,
    /// Prepare, create, start, wait, take down.
    Run {
        /// The container's directory.
        bundle: PathBuf,
        /// The container's id.
        id: String,
        /// Where the outcome is written, for one who is not our parent.
        exit_file: Option<PathBuf>,
    },
    /// Do that for one container after another, as standard input asks.
    Runner,
    /// Make the mounts, directories and cgroups of `runtime.json`; nothing when that was done before.
    Prepare {
        /// The container's directory.
        bundle: PathBuf,
        /// The container's id.
        id: String,
    },
    /// Give network interfaces to, and bind the namespaces of, a created container.
    Attach {
        /// The container's directory.
        bundle: PathBuf,
        /// The container's first process.
        pid: i32,
        /// The container's id.
        id: String,
    },
    /// Mount all volumes.
    Volumes,
    /// Unmount what was prepared.
    Release {
        /// The containers' ids; none means all, volumes last.
        ids: Vec<String>,
    },
}

impl Command {
    /// The container that errors are about.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Create { id, .. }
            | Self::Start { id }
            | Self::State { id }
            | Self::Kill { id, .. }
            | Self::Delete { id, .. }
            | Self::Ps { id, .. }
            | Self::Pause { id }
            | Self::Resume { id }
            | Self::Update { id, .. }
            | Self::Events { id }
            | Self::Run { id, .. }
            | Self::Prepare { id, .. }
            | Self::Attach { id, .. } => id,
            Self::Exec(exec) => &exec.id,
            Self::Volumes => "volumes",
            Self::Runner | Self::Release { .. } | Self::List { .. } | Self::Version => "runtime",
        }
    }
}
