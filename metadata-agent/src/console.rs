//! What the operator reads: one line a message, on the console, each beginning `metadata: `.
//!
//! Never goes here: user-data, keys, tokens, and answers' bodies.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;

/// Where messages go.
pub struct Console {
    out: RefCell<Box<dyn Write>>,
    verbose: bool,
}

impl Console {
    /// Writes to `out`; details only if `verbose`.
    pub fn new(out: impl Write + 'static, verbose: bool) -> Self {
        Self { out: RefCell::new(Box::new(out)), verbose }
    }

    /// A line that always matters.
    pub fn say(&self, message: impl fmt::Display) {
        // A console that can't be written to leaves nobody to tell, and the metadata matters more than its report.
        let _unwritten = writeln!(self.out.borrow_mut(), "metadata: {message}");
    }

    /// A line for those who look closely (`-v`).
    pub fn detail(&self, message: impl fmt::Display) {
        if self.verbose {
            self.say(message);
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("verbose", &self.verbose).finish_non_exhaustive()
    }
}
