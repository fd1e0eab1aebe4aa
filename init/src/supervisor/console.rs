//! Lines for the console, which is the supervisor's standard error.

use std::io::Write;

/// Prints one line. A console that cannot be written to is no reason to stop.
pub fn say(line: &str) {
    let mut text = String::with_capacity(line.len() + 1);
    text.extend(line.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }));
    text.push('\n');
    drop(std::io::stderr().write_all(text.as_bytes()));
}
