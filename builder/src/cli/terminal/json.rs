//! What programs are told: one JSON object a line.
//!
//! | `event` | members besides |
//! |---|---|
//! | `start` | `work` (`pull`, `push`, `verify`, `assemble`, `write`, `compile`, `package`, `upload`), `name` |
//! | `progress` | `work`, `name`, `bytes`, `total`; at most five a second, and the last one |
//! | `done` | `work`, `name`; `bytes`, `digest` where there are such |
//! | `result` | `path`: a file that was written |
//! | `note`, `detail` | `message` |
//! | `warning` | `message`; `file`, `line`, `column`, `help` where there are such |
//! | `error` | `message`, `causes`; `file`, `line`, `column`, `help` where there are such |

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config::{ConfigError, Problem};
use crate::event::{Event, Work};

/// No more than one line about the same work in this time.
const PAUSE: Duration = Duration::from_millis(200);

/// When it was told how far work is.
#[derive(Debug, Default)]
pub struct Told {
    last: HashMap<(Work, String), Instant>,
}

impl Told {
    /// What is told of an event at this time; `None` when it is too much.
    pub fn event(&mut self, event: &Event<'_>, now: Instant) -> Option<Value> {
        Some(match *event {
            Event::Started { work, name } => json!({ "event": "start", "work": work.name(), "name": name }),
            Event::Advanced { work, name, bytes, total } => {
                let last = self.last.get(&(work, name.to_owned()));
                if bytes < total && last.is_some_and(|last| now.duration_since(*last) < PAUSE) {
                    return None;
                }
                self.last.insert((work, name.to_owned()), now);
                json!({ "event": "progress", "work": work.name(), "name": name, "bytes": bytes, "total": total })
            }
            Event::Finished { work, name, bytes, digest } => {
                self.last.remove(&(work, name.to_owned()));
                let mut told = json!({ "event": "done", "work": work.name(), "name": name });
                if let Some(bytes) = bytes {
                    told["bytes"] = bytes.into();
                }
                if let Some(digest) = digest {
                    told["digest"] = digest.to_string().into();
                }
                told
            }
            Event::Note(message) => json!({ "event": "note", "message": message }),
        })
    }
}

/// A problem in a configuration, as `warning` or `error`.
pub fn problem(event: &str, problem: &Problem) -> Value {
    let (message, help) = problem.message_and_help();
    let spot = &problem.spot;
    let mut told = json!({
        "event": event, "message": message,
        "file": *spot.file, "line": spot.line, "column": spot.column,
    });
    if let Some(help) = help {
        told["help"] = help.into();
    }
    if event == "error" {
        told["causes"] = json!([]);
    }
    told
}

/// An error and its causes; one object for each problem of a configuration.
pub fn error(error: &(dyn Error + 'static)) -> Vec<Value> {
    if let Some(ConfigError { problems, .. }) = error.downcast_ref() {
        return problems.iter().map(|it| problem("error", it)).collect();
    }
    let (mut causes, mut cause) = (Vec::new(), error.source());
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    vec![json!({ "event": "error", "message": error.to_string(), "causes": causes })]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_five_times_a_second_and_at_its_end() {
        let mut told = Told::default();
        let start = Instant::now();
        let mut at = |milliseconds, bytes| {
            let event = Event::Advanced { work: Work::Pull, name: "a", bytes, total: 1000 };
            told.event(&event, start + Duration::from_millis(milliseconds)).is_some()
        };
        let heard: Vec<bool> =
            [(0, 1), (100, 2), (199, 3), (200, 4), (300, 5), (301, 1000)].map(|(ms, n)| at(ms, n)).into();
        assert_eq!(heard, [true, false, false, true, false, true]);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let event = Event::Finished { work: Work::Write, name: "tar", bytes: None, digest: None };
        let told = Told::default().event(&event, Instant::now()).unwrap();
        assert_eq!(told, json!({ "event": "done", "work": "write", "name": "tar" }));
    }

    #[test]
    fn an_error_has_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot build m.yml")]
        struct Outer(#[source] std::io::Error);
        let told = error(&Outer(std::io::Error::other("no such image")));
        assert_eq!(
            told,
            [json!({ "event": "error", "message": "cannot build m.yml", "causes": ["no such image"] })]
        );
    }
}
