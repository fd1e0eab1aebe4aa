//! One line of a log, as memlogd tells it: a JSON object. Pure.

use std::fmt::Write;

use serde::Deserialize;

/// Longest name of a log, in bytes.
const LONGEST: usize = 128;

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// When it was said: RFC 3339, UTC, to the microsecond.
    pub time: String,
    /// The name of the log, `NAME` or `NAME.out`.
    pub source: String,
    /// What was said.
    pub msg: String,
}

impl Message {
    /// Reads one line from the socket; `None` for one that is no message, or whose time or name could not be in a file.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let message: Self = serde_json::from_slice(line).ok()?;
        let sound = is_time(&message.time) && is_name(&message.source);
        sound.then_some(message)
    }

    /// The line in a file: `TIME SOURCE TEXT`.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {} {}\n", self.time, self.source, visible(&self.msg))
    }

    /// The line as LinuxKit's `logread` prints it: `TIME;SOURCE;TEXT`.
    #[must_use]
    pub fn listed(&self) -> String {
        format!("{};{};{}", self.time, self.source, visible(&self.msg))
    }
}

fn is_time(text: &str) -> bool {
    text.len() <= 40
        && text.bytes().all(|b| b.is_ascii_digit() || b"-+:.TZ".contains(&b))
        && text.contains('T')
}

/// Whether it can be a file's name as it is.
fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=LONGEST).contains(&text.len()) && !text.starts_with('.') && text.chars().all(letter)
}

/// With control characters as `\xNN`, so that a line stays one.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push(c),
            c if c.is_control() => {
                // Writing to a string does not fail.
                let _never = write!(shown, "\\x{:02x}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_becomes_a_line() {
        let json =
            br#"{"time":"2026-11-22T00:30:28.123456Z","source":"sshd.out","msg":"hello\tworld\u001b[2J\n"}"#;
        let message = Message::parse(json).unwrap();
        assert_eq!(message.line(), "2026-11-22T00:30:28.123456Z sshd.out hello\tworld\\x1b[2J\\x0a\n");
        assert_eq!(message.listed(), "2026-11-22T00:30:28.123456Z;sshd.out;hello\tworld\\x1b[2J\\x0a");
    }

    #[test]
    fn what_could_not_be_in_a_file_is_no_message() {
        let json = |time: &str, source: &str| format!(r#"{{"time":"{time}","source":"{source}","msg":"m"}}"#);
        let time = "2026-11-22T00:30:28Z";
        assert!(Message::parse(json(time, "a").as_bytes()).is_some());
        for source in ["", "../etc/passwd", "a/b", ".hidden", "a b", &"n".repeat(129)] {
            assert_eq!(Message::parse(json(time, source).as_bytes()), None, "{source}");
        }
        for time in ["", "now", "2026 T"] {
            assert_eq!(Message::parse(json(time, "a").as_bytes()), None, "{time}");
        }
        assert_eq!(Message::parse(b"nonsense"), None);
    }

    proptest! {
        #[test]
        fn any_message_is_one_line(msg in ".*") {
            let message = Message { time: "T".into(), source: "s".into(), msg };
            prop_assert_eq!(message.line().matches('\n').count(), 1);
        }
    }
}
