//! How the supervisor treats a container: the keys of `runtime.json` that LinuxKit does not have.
//!
//! A key is absent when nobody asked for anything else than the default. A value that is not one of those below is
//! an error to whoever reads the file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When a service that ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Whatever its exit code was.
    #[default]
    Always,
    /// Unless it exited with 0.
    OnFailure,
    /// Not at all.
    Never,
}

/// What follows when an `onboot` container fails: exits with anything but 0, is killed, cannot be started, or is late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The next one is run, and then the services.
    #[default]
    Continue,
    /// Nothing more is started.
    Stop,
    /// The machine starts again.
    Reboot,
    /// The machine switches off.
    Poweroff,
}

/// How a service is asked whether it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// It wrote a line, to standard output or error, that this regular expression finds something in.
    Log(String),
    /// It accepts connections on this TCP port of the loopback address, in its own network namespace.
    Tcp(u16),
    /// This command, run in its container, exits with 0.
    Exec(Vec<String>),
    /// This path exists in its root filesystem.
    File(String),
}

/// How one knows that a service serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// How it is asked.
    #[serde(flatten)]
    pub probe: Probe,
    /// How long it may take from its start, in milliseconds; [`Ready::TIMEOUT`] unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl Ready {
    /// How long a service may take until it serves, unless its `timeout` says otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(60);

    /// How long it may take from its start.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout_ms.map_or(Self::TIMEOUT, Duration::from_millis)
    }
}

/// How a service that serves is looked after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// How it is asked. For [`Probe::Log`]: whether such a line came since the last time.
    #[serde(flatten)]
    pub probe: Probe,
    /// Time from one check to the next, in milliseconds; [`Health::INTERVAL`] unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
    /// How long a check may take, in milliseconds; [`Health::TIMEOUT`] unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How many checks in a row must fail until it is unhealthy; [`Health::RETRIES`] unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long after it became ready failures do not count, in milliseconds; 0 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period_ms: Option<u64>,
}

impl Health {
    /// Time from one check to the next, unless `interval` says otherwise.
    pub const INTERVAL: Duration = Duration::from_secs(10);
    /// How long a check may take, unless `timeout` says otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(5);
    /// How many checks in a row must fail, unless `retries` says otherwise.
    pub const RETRIES: u32 = 3;

    /// Time from one check to the next.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval_ms.map_or(Self::INTERVAL, Duration::from_millis)
    }

    /// How long a check may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout_ms.map_or(Self::TIMEOUT, Duration::from_millis)
    }

    /// How many checks in a row must fail; at least one.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries.unwrap_or(Self::RETRIES).max(1)
    }

    /// How long after it became ready failures do not count.
    #[must_use]
    pub fn start_period(&self) -> Duration {
        self.start_period_ms.map_or(Duration::ZERO, Duration::from_millis)
    }
}

/// How a service is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Stop {
    /// The signal that asks it: `SIGINT`, `INT`, `2`, `SIGRTMIN+3`; SIGTERM unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// How long it may take before it is killed, in milliseconds; [`Stop::GRACE`] unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

impl Stop {
    /// How long a service may take to stop, unless `grace` says otherwise.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// How long it may take before it is killed.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace_ms.map_or(Self::GRACE, Duration::from_millis)
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// For `skip_serializing_if`.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
