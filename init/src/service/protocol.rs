//! What the `service` command and the supervisor say to each other: one JSON object a line, one request a connection.
//!
//! Most answers are one line. [`Request::Logs`] and [`Request::Events`] are answered by a line for each thing told, and
//! [`Answer::End`] when there is no more; when they are followed there is no end but that of the connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::Exit;
use crate::timeline::Timeline;

/// The supervisor's socket; only root may connect.
pub const SOCKET: &str = "/run/lkb/supervisor.sock";
/// Longest request (bytes).
pub const REQUEST_LIMIT: u64 = 4096;
/// Longest line of an answer (bytes): enough for thousands of services.
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
    /// What was said.
    Logs(LogQuery),
    /// What became of services.
    Events {
        /// And what will.
        follow: bool,
    },
    /// The boot time-line.
    Boot,
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// Whose; without it, everybody's.
    pub name: Option<String>,
    /// Those that are said from now on as well.
    pub follow: bool,
    /// Only so many of those from before, the newest.
    pub lines: Option<usize>,
    /// Only those from this time on (microseconds since 1970).
    pub since: Option<u64>,
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
    /// A line of a log.
    Line(LogLine),
    /// A change of a service.
    Event(Event),
    /// Something was lost, because nobody read it in time.
    Lost {
        /// How many lines or events.
        count: u64,
    },
    /// There is no more.
    End,
    /// The boot time-line.
    Boot {
        /// As it is now.
        timeline: Timeline,
    },
    /// There is no such service.
    Unknown {
        /// In words.
        message: String,
    },
    /// Why not.
    Error {
        /// In words.
        message: String,
    },
}

/// Which of a process's two outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// What is put behind a source's name: `.out` for standard output, as LinuxKit names logs.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Out => ".out",
            Self::Err => "",
        }
    }
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was read (RFC 3339, UTC, microseconds).
    pub time: String,
    /// Whose it is.
    pub source: String,
    /// Where it came from.
    pub stream: Stream,
    /// What it says.
    pub text: String,
}

/// A change of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When (RFC 3339, UTC, microseconds).
    pub time: String,
    /// Whose.
    pub service: String,
    /// The state before it.
    pub from: State,
    /// The state after it.
    pub to: State,
    /// Whether it serves after it.
    #[serde(default)]
    pub ready: bool,
    /// How it answers after it, if it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// The first process after it.
    pub pid: Option<u32>,
    /// Why: how it ended, or what kept it from starting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Where a service is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// For `onboot` to end.
    Waiting,
    /// For other services.
    Blocked,
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
            Self::Blocked => "blocked",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::BackingOff => "backing-off",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// How a service is that is asked again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Not known yet.
    Starting,
    /// It answers well.
    Healthy,
    /// It has not for some time.
    Unhealthy,
}

impl Health {
    /// The word for operators and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
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
    /// Whether it serves, as far as its `ready` can tell.
    #[serde(default)]
    pub ready: bool,
    /// How it is, while it runs and has a `health`.
    #[serde(default)]
    pub health: Option<Health>,
    /// Its first process.
    pub pid: Option<u32>,
    /// How often it was started.
    #[serde(default)]
    pub starts: u32,
    /// How often it was started again after it had ended unasked.
    pub restarts: u32,
    /// Since when it is in this state (seconds since 1970).
    pub since: u64,
    /// When it entered this state (milliseconds since the kernel started, CLOCK_BOOTTIME).
    #[serde(default)]
    pub entered: u64,
    /// How long it has been in each state, by the state's word, without the present stay (milliseconds).
    #[serde(default)]
    pub time_in: BTreeMap<String, u64>,
    /// Whether it is meant to run: false after `service stop`.
    pub wanted: bool,
    /// How it ended last.
    pub last_exit: Option<LastExit>,
    /// Why it does not run: what it waits for, or why it could not be started last time.
    pub problem: Option<String>,
}

impl ServiceStatus {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(name: &str, state: State) -> Self {
        Self {
            name: name.to_owned(),
            state,
            ready: false,
            health: None,
            pid: None,
            starts: 0,
            restarts: 0,
            since: 0,
            entered: 0,
            time_in: BTreeMap::new(),
            wanted: true,
            last_exit: None,
            problem: None,
        }
    }

    /// Begins a stay in a state at `now` (milliseconds since the kernel started; seconds since 1970).
    pub fn enter(&mut self, state: State, now: (u64, u64)) {
        self.count(now.0);
        self.state = state;
        (self.entered, self.since) = now;
    }

    /// The same with the present stay counted in [`Self::time_in`], at `now` (milliseconds since the kernel started).
    #[must_use]
    pub fn counted(mut self, now: u64) -> Self {
        self.count(now);
        self
    }

    fn count(&mut self, now: u64) {
        let total = self.time_in.entry(self.state.word().to_owned()).or_default();
        *total = total.saturating_add(now.saturating_sub(self.entered));
    }
}

/// How and when a service ended last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastExit {
    /// How.
    pub exit: Exit,
    /// When (seconds since 1970).
    pub at: u64,
    /// Whether the kernel had killed a process of it for want of memory.
    #[serde(default)]
    pub oom: bool,
}

impl std::fmt::Display for LastExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.exit, if self.oom { ", out of memory" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_one_flat_object() {
        let cases = [
            (Request::List, r#"{"command":"list"}"#),
            (Request::Stop { name: "slapd".into() }, r#"{"command":"stop","name":"slapd"}"#),
            (
                Request::Logs(LogQuery { name: Some("slapd".into()), lines: Some(9), ..LogQuery::default() }),
                r#"{"command":"logs","name":"slapd","follow":false,"lines":9,"since":null}"#,
            ),
        ];
        for (request, line) in cases {
            assert_eq!(serde_json::to_string(&request).unwrap(), line);
            assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
        }
    }

    #[test]
    fn states_have_one_name_everywhere() {
        for state in [State::Waiting, State::Blocked, State::BackingOff, State::Failed] {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("{:?}", state.word()));
        }
        for health in [Health::Starting, Health::Healthy, Health::Unhealthy] {
            assert_eq!(serde_json::to_string(&health).unwrap(), format!("{:?}", health.word()));
        }
    }

    #[test]
    fn time_is_counted_by_state() {
        let mut status = ServiceStatus::new("a", State::Waiting);
        status.enter(State::Running, (100, 1));
        // Another process, the same state.
        status.enter(State::Running, (150, 1));
        status.enter(State::BackingOff, (400, 2));
        status.enter(State::Running, (1000, 3));
        let expected = |running| {
            [("backing-off", 600), ("running", running), ("waiting", 100)]
                .map(|(k, v)| (k.to_owned(), v))
                .into()
        };
        assert_eq!(status.time_in, expected(300));
        assert_eq!((status.entered, status.since), (1000, 3));
        assert_eq!(status.counted(1007).time_in, expected(307));
    }

    #[test]
    fn the_status_of_an_older_init_is_understood() {
        let json = r#"{"name":"a","state":"running","pid":7,"restarts":1,"since":5,"wanted":true,
            "last_exit":{"exit":{"code":1},"at":4},"problem":null}"#;
        let status: ServiceStatus = serde_json::from_str(json).unwrap();
        assert_eq!((status.pid, status.starts, status.ready), (Some(7), 0, false));
        assert!(!status.last_exit.unwrap().oom);
    }
}
