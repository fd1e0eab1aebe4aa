//! Lines from a socket, read all the time and kept.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Lines that somebody writes, in the order in which they came.
#[derive(Debug)]
pub struct Lines {
    lines: Mutex<Receiver<String>>,
}

impl Lines {
    /// Reads `from` to its end, in a thread. A last line without its end is left out.
    pub fn reading(from: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = String::new();
            while from.read_line(&mut line).is_ok_and(|count| count > 0) && line.ends_with('\n') {
                if sender.send(line.trim_end().to_string()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { lines: Mutex::new(lines) }
    }

    /// The next line; `None` when none comes within `patience`, or there will be no more.
    #[must_use]
    pub fn next(&self, patience: Duration) -> Option<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(patience).ok()
    }
}
