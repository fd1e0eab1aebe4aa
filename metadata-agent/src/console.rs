//! What the operator reads: one line a message, on the console, each beginning `metadata: `.
//!
//! Never goes here: user-data, keys, tokens, and answers' bodies.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where messages go, from all threads.
pub struct Console {
    state: Mutex<State>,
    verbose: bool,
}

struct State {
    out: Box<dyn Write + Send>,
    once: BTreeSet<String>,
}

impl Console {
    /// Writes to `out`; details only if `verbose`.
    pub fn new(out: impl Write + Send + 'static, verbose: bool) -> Self {
        Self { state: Mutex::new(State { out: Box::new(out), once: BTreeSet::new() }), verbose }
    }

    /// A line that always matters.
    pub fn say(&self, message: impl fmt::Display) {
        write(&mut self.lock(), &message);
    }

    /// A line that matters once, whoever says it first.
    pub fn say_once(&self, message: impl fmt::Display) {
        let mut state = self.lock();
        if state.once.insert(message.to_string()) {
            write(&mut state, &message);
        }
    }

    /// A line for those who look closely (`-v`).
    pub fn detail(&self, message: impl fmt::Display) {
        if self.verbose {
            self.say(message);
        }
    }

    /// A thread that died in the middle of a line has done no harm to the next.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(state: &mut State, message: &dyn fmt::Display) {
    // A console that can't be written to leaves nobody to tell, and the metadata matters more than its report.
    let _unwritten = writeln!(state.out, "metadata: {message}");
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("verbose", &self.verbose).finish_non_exhaustive()
    }
}
