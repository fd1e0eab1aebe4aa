//! One line of a log.

use std::rc::Rc;
use std::time::SystemTime;

use crate::rfc3339;
pub use crate::service::protocol::Stream;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place among all lines of this supervisor, from 1; 0 for lines that were read back from disk.
    pub number: u64,
    /// When it was read, by the machine's clock.
    pub time: SystemTime,
    /// Whose it is: a service, `onboot.NNN-NAME`, `supervisor`.
    pub source: Rc<str>,
    /// Where it came from.
    pub stream: Stream,
    /// What it says, without its end. Control characters are as they were written; bytes that are not UTF-8 are shown
    /// as `\xNN`. `…` at an end means that the line goes on there.
    pub text: Box<str>,
}

impl Line {
    /// The source with its stream: `slapd`, `slapd.out`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}{}", self.source, self.stream.suffix())
    }
}

/// A line as it is in a file, without its end.
pub fn to_file(time: &str, text: &str, into: &mut String) {
    into.push_str(time);
    into.push(' ');
    into.push_str(text);
}

/// Reads what [`to_file`] wrote.
#[must_use]
pub fn from_file(text: &str) -> Option<(SystemTime, &str)> {
    let (time, text) = text.split_once(' ')?;
    Some((rfc3339::parse(time)?, text))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_line_in_a_file_is_its_time_and_its_text() {
        let time = UNIX_EPOCH + Duration::from_micros(1_795_307_428_000_001);
        let mut text = String::new();
        to_file(&rfc3339::format(time), "  two words", &mut text);
        assert_eq!(text, "2026-11-22T00:30:28.000001Z   two words");
        assert_eq!(from_file(&text), Some((time, "  two words")));
        assert_eq!(from_file("two words"), None);
    }
}
