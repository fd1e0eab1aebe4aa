//! Copying a log file to the console while it grows.

use std::fs::File;
use std::io::Read;

use super::console;

/// Longer lines are cut in pieces (bytes).
const LINE_LIMIT: usize = 1024;

/// Cuts bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes bytes and gives the lines that are complete.
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in bytes {
            if *byte == b'\n' || self.rest.len() >= LINE_LIMIT {
                lines.extend(self.finish_line());
            }
            if *byte != b'\n' {
                self.rest.push(*byte);
            }
        }
        lines
    }

    /// Gives the last line, which has no end.
    fn finish(&mut self) -> Option<String> {
        if self.rest.is_empty() { None } else { self.finish_line() }
    }

    fn finish_line(&mut self) -> Option<String> {
        let line = String::from_utf8_lossy(&self.rest).trim_end_matches('\r').to_owned();
        self.rest.clear();
        Some(line)
    }
}

/// A file that is being written by a container.
#[derive(Debug)]
pub struct Tail {
    file: File,
    prefix: String,
    lines: Lines,
}

impl Tail {
    /// Follows `file` from its current position; lines begin with `prefix`.
    #[must_use]
    pub fn new(file: File, prefix: String) -> Self {
        Self { file, prefix, lines: Lines::default() }
    }

    /// Copies what is new.
    pub fn copy(&mut self) {
        let mut buffer = [0; 8192];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    for line in self.lines.push(buffer.get(..count).unwrap_or_default()) {
                        console::say(&format!("{}: {line}", self.prefix));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    console::say(&format!("{}: cannot read its log: {error}", self.prefix));
                    return;
                }
            }
        }
    }

    /// Copies the rest, after the writer has ended.
    pub fn finish(mut self) {
        self.copy();
        if let Some(line) = self.lines.finish() {
            console::say(&format!("{}: {line}", self.prefix));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"one\ntw"), ["one"]);
        assert_eq!(lines.push(b"o\r\n\nthr"), ["two", ""]);
        assert_eq!(lines.finish().as_deref(), Some("thr"));
        assert_eq!(lines.finish(), None);
    }

    proptest! {
        #[test]
        fn a_line_without_end_takes_no_memory(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            let mut lines = Lines::default();
            lines.push(&bytes);
            prop_assert!(lines.rest.len() <= LINE_LIMIT);
        }
    }
}
