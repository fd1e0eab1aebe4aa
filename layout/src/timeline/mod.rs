//! The boot time-line: what happened between the kernel's start and a machine that serves, and when.
//!
//! The machine keeps it as JSON at [`PATH`], and prints it on a serial port of virtio named [`PORT`] when it has one:
//!
//! ```json
//! {"version":1,"steps":[{"name":"pid1/mounts","kind":"pid1","start":1.402113,"end":1.409840,"outcome":"ok"}]}
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `name` | what was done; for a service `NAME/create`, `NAME/start`, `NAME/ready` |
//! | `kind` | `kernel`, `pid1`, `onboot`, `engine`, `service`, `shutdown` |
//! | `start`, `end` | seconds since the kernel started (CLOCK_BOOTTIME), to the microsecond; `end` is null until it has ended |
//! | `outcome` | `ok`, `failed`, `running` |
//! | `detail` | why it failed, in words; absent when there is nothing to say |

mod phases;
mod svg;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use phases::{Phase, phases};

/// Where the machine keeps its time-line.
pub const PATH: &str = "/run/lkb/boot.json";
/// The name of the virtio serial port on which the machine prints each version of its time-line, one JSON object a line.
pub const PORT: &str = "lkb.boot";
/// The version of the format.
pub const VERSION: u32 = 1;
/// More steps than any machine has.
pub const STEPS_LIMIT: usize = 2048;
/// Longer names and details are cut (characters).
const TEXT_LIMIT: usize = 200;
/// No boot takes longer: later steps are no part of a chart (seconds).
const LONGEST: f64 = 1e9;

/// What happened, in the order in which it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// [`VERSION`]
    pub version: u32,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One thing that took time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What it is called.
    pub name: String,
    /// Who did it.
    pub kind: Kind,
    /// When it began, in seconds since the kernel started.
    pub start: f64,
    /// When it ended.
    pub end: Option<f64>,
    /// How.
    pub outcome: Outcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Who did a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The kernel, before it started PID 1.
    Kernel,
    /// PID 1.
    Pid1,
    /// A container of `onboot`.
    Onboot,
    /// What runs the services.
    Engine,
    /// A service.
    Service,
    /// The machine's end.
    Shutdown,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It did what it should.
    Ok,
    /// It did not.
    Failed,
    /// It has not ended.
    Running,
}

impl Kind {
    /// The kind as JSON and charts call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Pid1 => "pid1",
            Self::Onboot => "onboot",
            Self::Engine => "engine",
            Self::Service => "service",
            Self::Shutdown => "shutdown",
        }
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self { version: VERSION, steps: Vec::new() }
    }
}

impl Step {
    /// A step that has ended well; times are since the kernel started.
    #[must_use]
    pub fn done(kind: Kind, name: &str, start: Duration, end: Duration) -> Self {
        let (start, end) = (seconds(start), Some(seconds(end)));
        Self { name: name.to_owned(), kind, start, end, outcome: Outcome::Ok, detail: String::new() }
    }

    /// A step that has begun.
    #[must_use]
    pub fn begun(kind: Kind, name: &str, start: Duration) -> Self {
        let (start, end) = (seconds(start), None);
        Self { name: name.to_owned(), kind, start, end, outcome: Outcome::Running, detail: String::new() }
    }

    /// How long it took, in seconds; `None` while it runs.
    #[must_use]
    pub fn took(&self) -> Option<f64> {
        self.end.map(|end| end - self.start)
    }
}

impl Timeline {
    /// Reads a time-line that a machine wrote. It may be hostile: what makes no sense is left out, and long texts are cut.
    ///
    /// # Errors
    /// When it is no JSON, or of a version that is not known here.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut timeline: Self = serde_json::from_slice(json)?;
        if timeline.version != VERSION {
            let message = format!("version {} of the time-line is not known here", timeline.version);
            return Err(serde::de::Error::custom(message));
        }
        let sound = |time: f64| time.is_finite() && (0.0..LONGEST).contains(&time);
        timeline
            .steps
            .retain(|step| sound(step.start) && step.end.is_none_or(|end| sound(end) && end >= step.start));
        timeline.steps.truncate(STEPS_LIMIT);
        for step in &mut timeline.steps {
            for text in [&mut step.name, &mut step.detail] {
                *text = text.chars().take(TEXT_LIMIT).map(|c| if c.is_control() { ' ' } else { c }).collect();
            }
        }
        Ok(timeline)
    }

    /// The latest moment that a step of the boot tells, in seconds; 0 for none.
    #[must_use]
    pub fn boot_end(&self) -> f64 {
        latest(self.boot())
    }

    /// The steps of the boot: all but those of the machine's end.
    pub fn boot(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.kind != Kind::Shutdown)
    }

    /// The chart, as a picture (SVG 1.1).
    #[must_use]
    pub fn svg(&self) -> String {
        svg::draw(self)
    }
}

/// The latest moment that steps tell.
fn latest<'a>(steps: impl Iterator<Item = &'a Step>) -> f64 {
    steps.map(|step| step.end.unwrap_or(step.start)).fold(0.0, f64::max)
}

/// Seconds to the microsecond, so that they are short as text.
fn seconds(time: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let micros = time.as_micros() as f64;
    // One division of a whole number gives the nearest number to the decimal that is meant.
    micros / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_line_is_short_json_and_is_read_back() {
        let at = Duration::from_micros;
        let mut timeline = Timeline::default();
        timeline.steps.push(Step::done(Kind::Pid1, "pid1/mounts", at(1_402_113), at(1_409_840)));
        timeline.steps.push(Step::begun(Kind::Service, "slapd/create", at(2_000_000)));
        let json = serde_json::to_string(&timeline).unwrap();
        assert_eq!(
            json,
            r#"{"version":1,"steps":[{"name":"pid1/mounts","kind":"pid1","start":1.402113,"end":1.40984,"outcome":"ok"},{"name":"slapd/create","kind":"service","start":2.0,"end":null,"outcome":"running"}]}"#
        );
        assert_eq!(Timeline::parse(json.as_bytes()).unwrap(), timeline);
    }

    #[test]
    fn what_makes_no_sense_is_left_out_and_long_texts_are_cut() {
        let step = |start: &str, end: &str, name: &str| {
            format!(r#"{{"name":"{name}","kind":"onboot","start":{start},"end":{end},"outcome":"ok"}}"#)
        };
        let steps = [
            step("1", "2", &"n".repeat(500)),
            step("2", "1", "ends before it begins"),
            step("-1", "1", "before the kernel"),
            step("1", "1e300", "never"),
        ];
        let json = format!(r#"{{"version":1,"steps":[{}]}}"#, steps.join(","));
        let timeline = Timeline::parse(json.as_bytes()).unwrap();
        assert_eq!(timeline.steps.len(), 1);
        assert_eq!(timeline.steps[0].name.len(), TEXT_LIMIT);
        assert!(Timeline::parse(br#"{"version":2,"steps":[]}"#).is_err());
        assert!(Timeline::parse(b"\n").is_err());
    }
}
