//! The machine's serial console: read all the time, kept whole, searched.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a machine has written so far; clones look at the same console.
#[derive(Debug, Clone, Default)]
pub struct Console {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    text: String,
    closed: bool,
}

impl Console {
    /// Reads `from` to its end, in a thread.
    pub fn reading(from: impl Read + Send + 'static) -> Self {
        let console = Self::default();
        let writer = console.clone();
        std::thread::spawn(move || writer.read_all(from));
        console
    }

    fn read_all(&self, mut from: impl Read) {
        let mut buffer = [0; 4096];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            let mut state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
            match count {
                0 => state.closed = true,
                n => state.text.push_str(&String::from_utf8_lossy(&buffer[..n])),
            }
            self.state.1.notify_all();
            if count == 0 {
                return;
            }
        }
    }

    /// All that was written.
    #[must_use]
    pub fn text(&self) -> String {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).text.clone()
    }

    /// How many bytes were written: a mark for [`Console::wait_after`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).text.len()
    }

    /// Waits for `wanted` anywhere in the text, and returns the line that holds it.
    ///
    /// # Panics
    /// When it does not come within `patience`, or the console ends before.
    pub fn wait(&self, wanted: &str, patience: Duration) -> String {
        self.wait_after(0, wanted, patience)
    }

    /// Waits for `wanted` in what is written after `mark`.
    ///
    /// # Panics
    /// When it does not come within `patience`, or the console ends before.
    pub fn wait_after(&self, mark: usize, wanted: &str, patience: Duration) -> String {
        let start = Instant::now();
        let (lock, changed) = &*self.state;
        let mut state = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = line_with(&state.text[mark.min(state.text.len())..], wanted) {
                return line;
            }
            let left = patience.saturating_sub(start.elapsed());
            assert!(!state.closed, "the machine ended without {wanted:?} on its console");
            assert!(!left.is_zero(), "no {wanted:?} on the console within {patience:?}");
            state = changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the console ends, which is when the machine does.
    ///
    /// # Panics
    /// When it does not end within `patience`.
    pub fn wait_end(&self, patience: Duration) {
        assert!(self.ends_within(patience), "the machine did not end within {patience:?}");
    }

    /// Whether the console ends within `patience`.
    #[must_use]
    pub fn ends_within(&self, patience: Duration) -> bool {
        let (lock, changed) = &*self.state;
        let state = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, timeout) = changed
            .wait_timeout_while(state, patience, |s| !s.closed)
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !timeout.timed_out()
    }
}

/// Keeps the console of a failed test `name` in a file, and shows its end.
pub fn keep(name: &str, console: &Console) {
    let log = crate::image::out_dir().join(format!("{name}.console"));
    let text = console.text();
    match std::fs::write(&log, &text) {
        Ok(()) => eprintln!("the console is in {}; its end:", log.display()),
        Err(e) => eprintln!("can't keep the console in {}: {e}; its end:", log.display()),
    }
    let lines: Vec<&str> = text.lines().collect();
    eprintln!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
}

fn line_with(text: &str, wanted: &str) -> Option<String> {
    let at = text.find(wanted)?;
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    // A line that is still being written is not looked at yet: its end may matter.
    let end = at + text[at..].find('\n')?;
    Some(text[start..end].trim_end().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_once_it_is_whole() {
        assert_eq!(line_with("a\nxyz", "y"), None);
        assert_eq!(line_with("a\nxyz\r\nb", "y"), Some("xyz".into()));
    }

    #[test]
    fn what_was_written_before_the_mark_is_not_found() {
        let console = Console::reading(&b"one\ntwo\n"[..]);
        console.wait_end(Duration::from_secs(5));
        assert_eq!(console.wait("one", Duration::ZERO), "one");
        let after = std::panic::catch_unwind(|| console.wait_after(4, "one", Duration::ZERO));
        assert!(after.is_err());
    }
}
