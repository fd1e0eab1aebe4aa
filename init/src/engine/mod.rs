//! What runs service containers: a trait, so that the supervisor does not know which one it is.

mod containerd;
mod embedded;
mod exit;

use std::path::PathBuf;
use std::time::Duration;

pub use containerd::{Connection, Containerd, Link, SOCKET, connect};
pub use embedded::Embedded;
pub use exit::Exit;

/// A container as an engine knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId {
    /// containerd's namespace.
    pub namespace: String,
    /// The container's id.
    pub id: String,
}

/// What is needed to create a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Who it is.
    pub task: TaskId,
    /// Its directory, with `config.json`.
    pub bundle: PathBuf,
    /// File that gets its standard output.
    pub stdout: PathBuf,
    /// File that gets its standard error.
    pub stderr: PathBuf,
}

/// What an engine says about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// It has no such task.
    Absent,
    /// Created, but not started.
    Created,
    /// Running, with its first process.
    Running(u32),
    /// Ended.
    Stopped(Exit),
}

/// Why an engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine is not there now.
    #[error("containerd does not answer on {SOCKET}")]
    NotReady,
    /// A call took too long.
    #[error("cannot {action}: no answer within {} s", limit.as_secs())]
    Timeout {
        /// What was tried.
        action: &'static str,
        /// How long we waited.
        limit: Duration,
    },
    /// The engine answered with an error.
    #[error("cannot {action}: {message}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The engine's words.
        message: String,
        /// Whether the connection broke, so that the answer says nothing about the task.
        lost: bool,
    },
    /// The container's configuration cannot be used.
    #[error("{0}")]
    Bundle(String),
}

impl EngineError {
    /// Whether this says that the engine is gone, rather than anything about the task.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::NotReady | Self::Timeout { .. } | Self::Refused { lost: true, .. })
    }
}

/// What runs service containers.
///
/// Every call is bounded in time, except [`Engine::ready`] and [`Engine::wait`]. Futures are polled on one thread.
#[allow(async_fn_in_trait)]
pub trait Engine {
    /// Waits until the engine answers.
    async fn ready(&self) -> Result<(), EngineError>;
    /// What the engine knows of a task.
    async fn inspect(&self, task: &TaskId) -> Result<TaskState, EngineError>;
    /// Creates the container and its task, which does not run yet, and returns its first process.
    ///
    /// Whatever is left of an earlier container of this id is removed first.
    async fn create(&self, container: &Container) -> Result<u32, EngineError>;
    /// Starts a created task.
    async fn start(&self, task: &TaskId) -> Result<(), EngineError>;
    /// Waits until a task has ended.
    async fn wait(&self, task: &TaskId) -> Result<Exit, EngineError>;
    /// Signals a task's first process, or all its processes. A task that has ended is no error.
    async fn signal(&self, task: &TaskId, signal: u32, all: bool) -> Result<(), EngineError>;
    /// Runs a command in a running task, as its user, with its environment and in its directory; its output is dropped.
    ///
    /// A command that takes longer than `limit` is killed, which is an error.
    async fn exec(&self, task: &TaskId, args: &[String], limit: Duration) -> Result<Exit, EngineError>;
    /// Removes an ended task; its container stays. No task is no error.
    async fn delete_task(&self, task: &TaskId) -> Result<(), EngineError>;
    /// Removes task and container, whatever state they are in. Neither is no error.
    async fn remove(&self, task: &TaskId) -> Result<(), EngineError>;
    /// Whether [`Engine::create`] does what the bundle's `runtime.json` asks for as well; else the caller must, before
    /// and after.
    fn prepares(&self) -> bool {
        false
    }
}
