//! Asking a service whether it serves: when is decided in [`schedule`], how is done here.
//!
//! | probe | what is asked |
//! | --- | --- |
//! | `tcp` | whether a connection to loopback is accepted; in a network of its own, whether somebody listens |
//! | `exec` | whether a command in the container exits with 0 |
//! | `file` | whether a path exists in its root filesystem |
//! | `log` | whether it writes a line in which a regular expression finds something |

mod file;
mod log;
mod schedule;
mod tcp;

use std::rc::Rc;
use std::time::Duration;

use image_layout::Probe;
use tokio::sync::Mutex;

pub use log::Listener;
pub use schedule::{HealthPlan, ReadyPlan, Schedule, Try, Verdict};

use crate::engine::{Engine, TaskId};

/// Whom to ask.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The service's task.
    pub task: TaskId,
    /// Its first process.
    pub pid: u32,
    /// What hears its log, for [`Probe::Log`].
    pub listener: Option<Rc<Mutex<Listener>>>,
}

/// Asks once.
///
/// # Errors
/// What the service did not do, in words, after `limit` at the latest.
pub async fn ask<E: Engine>(
    engine: &E,
    probe: &Probe,
    subject: &Subject,
    limit: Duration,
) -> Result<(), String> {
    match probe {
        Probe::Tcp(port) => tcp::ask(subject.pid, *port, limit).await,
        Probe::File(path) => file::ask(subject.pid, path),
        Probe::Log(pattern) => match &subject.listener {
            Some(listener) => listener.lock().await.hear(limit).await,
            None => Err(format!("its log cannot be searched for {pattern:?}")),
        },
        Probe::Exec(command) => match engine.exec(&subject.task, command, limit).await {
            Ok(exit) if exit.is_success() => Ok(()),
            Ok(exit) => Err(format!("{}: {exit}", command.first().map_or("", String::as_str))),
            Err(error) => Err(error.to_string()),
        },
    }
}
