//! How the supervisor treats a container: the keys that LinuxKit does not have.

use image_layout::Probe;
use serde::{Deserialize, Serialize};

use super::period::Period;

/// How one knows that a service serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// `log`, `tcp`, `exec` or `file`.
    #[serde(flatten)]
    pub probe: Probe,
    /// How long it may take from its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
}

/// How a service that serves is looked after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Health {
    /// Not at all, whatever the label or the image say.
    Off(Off),
    /// By this check.
    Check(HealthCheck),
}

/// The word that switches something off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Off {
    /// `none`
    None,
}

/// A check that is made again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// `log`, `tcp`, `exec` or `file`.
    #[serde(flatten)]
    pub probe: Probe,
    /// Time from one check to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Period>,
    /// How long a check may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// How many checks in a row must fail until the service is started afresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long after the start failures do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<Period>,
}

/// How a service is stopped; each field by itself overrides the lower layer's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stop {
    /// The signal that asks it, by name or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// How long it may take before it is killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<Period>,
}
