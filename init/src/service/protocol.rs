//! What the `service` command and the supervisor say to each other: one JSON object a line, one request a connection.

use serde::{Deserialize, Serialize};

use crate::engine::Exit;

/// The supervisor's socket; only root may connect.
pub const SOCKET: &str = "/run/lkb/supervisor.sock";
/// Longest request (bytes).
pub const REQUEST_LIMIT: u64 = 4096;
/// Longest answer (bytes): enough for thousands of services.
pub const ANSWER_LIMIT: u64 = 4 << 20;

/// What an operator asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum Request {
    /// All services.
    List,
    /// One service.
    Status {
        /// Its name.
        name: String,
    },
    /// Start it; nothing when it runs.
    Start {
        /// Its name.
        name: String,
    },
    /// Stop it, and keep it stopped.
    Stop {
        /// Its name.
        name: String,
    },
    /// Stop and start it.
    Restart {
        /// Its name.
        name: String,
    },
}

/// What the supervisor answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Answer {
    /// The services asked for, as they are now.
    Services {
        /// In name order.
        services: Vec<ServiceStatus>,
    },
    /// Why not.
    Error {
        /// In words.
        message: String,
    },
}

/// Where a service is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// For `onboot` to end.
    Waiting,
    /// Being created.
    Starting,
    /// Running.
    Running,
    /// Ended; will be started again after a while.
    BackingOff,
    /// Signalled, not yet ended.
    Stopping,
    /// Ended, as it should.
    Stopped,
    /// Ended or not startable, and nobody will try again.
    Failed,
}

impl State {
    /// The state as operators and JSON call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::BackingOff => "backing-off",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// All that is told about one service; also the content of `/run/lkb/services/NAME.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// Its first process.
    pub pid: Option<u32>,
    /// How often it was started again after it had ended unasked.
    pub restarts: u32,
    /// Since when it is in this state (seconds since 1970).
    pub since: u64,
    /// Whether it is meant to run: false after `service stop`.
    pub wanted: bool,
    /// How it ended last.
    pub last_exit: Option<LastExit>,
    /// Why it could not be started last time.
    pub problem: Option<String>,
}

/// How and when a service ended last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastExit {
    /// How.
    pub exit: Exit,
    /// When (seconds since 1970).
    pub at: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_one_flat_object() {
        let cases = [
            (Request::List, r#"{"command":"list"}"#),
            (Request::Stop { name: "slapd".into() }, r#"{"command":"stop","name":"slapd"}"#),
        ];
        for (request, line) in cases {
            assert_eq!(serde_json::to_string(&request).unwrap(), line);
            assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
        }
    }

    #[test]
    fn states_have_one_name_everywhere() {
        for state in [State::Waiting, State::BackingOff, State::Failed] {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("{:?}", state.word()));
        }
    }
}
