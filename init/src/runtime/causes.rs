//! Why libcontainer failed: its processes tell each other only the outermost error, and the rest goes to `tracing`.

use std::fmt::{Debug, Write};
use std::fs::File;
use std::io::{Read, Seek, Write as _};
use std::sync::{Mutex, OnceLock};

use rustix::fs::{MemfdFlags, memfd_create};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Level, LevelFilter, Metadata, Subscriber, dispatcher};

use super::RuntimeError;

/// Longest text that is passed on, in bytes.
const LIMIT: usize = 512;

/// Collects errors in a file without a name, which the processes that libcontainer clones share with this one.
#[derive(Debug)]
pub struct Causes {
    file: Mutex<File>,
}

/// What was collected so far.
#[derive(Debug)]
pub struct Heard(File);

/// Where this process collects: `tracing` can be told once.
static COLLECTED: OnceLock<File> = OnceLock::new();

/// Begins to collect, from nothing.
pub fn collect() -> Result<Heard, RuntimeError> {
    let memfd = std::path::Path::new("a memfd");
    if let Some(mut file) = COLLECTED.get() {
        file.set_len(0).and_then(|()| file.rewind()).map_err(RuntimeError::io("empty", memfd))?;
        return file.try_clone().map(Heard).map_err(RuntimeError::io("duplicate", memfd));
    }
    let file = memfd_create("causes", MemfdFlags::CLOEXEC)
        .map_err(|errno| RuntimeError::io("make", memfd)(errno.into()))?;
    let reader = File::from(file);
    let duplicate = || reader.try_clone().map_err(RuntimeError::io("duplicate", memfd));
    let causes = Causes { file: Mutex::new(duplicate()?) };
    // Refused when somebody collects already, which leaves this one empty.
    if dispatcher::set_global_default(Dispatch::new(causes)).is_ok() {
        // It cannot be set yet: only the one call that `tracing` does not refuse comes here.
        COLLECTED.set(duplicate()?).ok();
    }
    Ok(Heard(reader))
}

impl Heard {
    /// The first error that was told, which is the innermost one; `None` when there is none, or it cannot be read.
    pub fn first(&mut self) -> Option<String> {
        let mut text = String::new();
        self.0.rewind().ok()?;
        self.0.read_to_string(&mut text).ok()?;
        text.lines().next().map(str::to_owned)
    }
}

impl Subscriber for Causes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR && metadata.is_event()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        if let Ok(mut file) = self.file.lock() {
            // Nobody can be told that telling failed.
            drop(file.write_all(line.finish().as_bytes()));
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// An event as text: its message, then its fields.
#[derive(Debug, Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let separator = if self.fields.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, "{separator}{name}: {value:?}"),
        };
    }
}

impl Line {
    fn finish(self) -> String {
        let mut text = match (self.message.is_empty(), self.fields.is_empty()) {
            (false, false) => format!("{} ({})", self.message, self.fields),
            (true, _) => self.fields,
            (_, true) => self.message,
        };
        text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let end = (0..=LIMIT.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_bounded_length() {
        let line = |message: &str, fields: &str| {
            Line { message: message.to_owned(), fields: fields.to_owned() }.finish()
        };
        assert_eq!(line("no\nsuch", "err: 2"), "no such (err: 2)\n");
        assert_eq!(line("", "err: 2"), "err: 2\n");
        assert!(line(&"ä".repeat(1000), "").len() <= LIMIT + 1);
    }
}
