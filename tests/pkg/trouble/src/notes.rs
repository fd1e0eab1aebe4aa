//! What a service notes about itself, for the agent to read.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

/// Where all services keep their notes: not on `/run`, which some tests fill.
pub const DIR: &str = "/tmp/trouble";

/// What a start writes that found the service running.
pub const TWICE: &str = "twice";

/// A file of the service `name`: `starts`, `lock`, `orders`, `sock`.
pub fn file(name: &str, kind: &str) -> PathBuf {
    PathBuf::from(DIR).join(format!("{name}.{kind}"))
}

/// Notes a start. The lock is held for as long as the returned value lives.
///
/// # Errors
/// When the service runs already.
pub fn note_start(name: &str) -> Result<Flock<File>, String> {
    let open = |kind| {
        let path = file(name, kind);
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| format!("{}: {e}", path.display()))
    };
    let lock = Flock::lock(open("lock")?, FlockArg::LockExclusiveNonblock);
    let line = if lock.is_ok() { "started\n" } else { "twice\n" };
    open("starts")?.write_all(line.as_bytes()).map_err(|e| format!("noting the start: {e}"))?;
    lock.map_err(|_| format!("{name} runs {TWICE}"))
}
