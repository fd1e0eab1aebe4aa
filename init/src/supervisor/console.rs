//! Lines for the console, which is the supervisor's standard error.

use std::io::Write;

use super::logs::{self, SUPERVISOR};
use crate::terminal::harmless;

/// Prints one line, and keeps it in the logs. A console that cannot be written to is no reason to stop.
pub fn say(line: &str) {
    show(line);
    if let Some(logs) = logs::current() {
        logs.say(SUPERVISOR, line);
    }
}

/// Prints one line that the logs have already.
pub fn show(line: &str) {
    let mut text = harmless(line);
    text.push('\n');
    // Nobody can be told that telling failed, and the logs have it.
    drop(std::io::stderr().write_all(text.as_bytes()));
}
