//! The file that `--log` names: errors and warnings, as runc writes them.

use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::args::Global;
use crate::rfc3339;

/// Where messages go besides standard error; the file is made with the first one.
#[derive(Debug, Clone)]
pub struct Log {
    path: Option<PathBuf>,
    json: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// It went on.
    Warning,
    /// It did not.
    Error,
}

impl Log {
    /// As the command line says.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        Self { path: global.log.clone(), json: global.json }
    }

    /// Whether there is such a file.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.path.is_some()
    }

    /// Adds one message. A log that cannot be written is told on standard error.
    pub fn write(&self, level: Level, message: &str) {
        let Some(path) = &self.path else { return };
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let line = line(self.json, level, message, seconds);
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            eprintln!("runtime: cannot write {}: {error}", path.display());
        }
    }
}

fn line(json: bool, level: Level, message: &str, seconds: u64) -> String {
    let level = match level {
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let time = rfc3339::of_seconds(seconds);
    if json {
        let value = serde_json::json!({ "level": level, "msg": message, "time": time });
        format!("{value}\n")
    } else {
        format!("time=\"{time}\" level={level} msg={message:?}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// containerd's shim takes the last `msg` whose level is `error`.
    #[test]
    fn lines_are_runcs() {
        assert_eq!(
            line(true, Level::Error, "no \"a\"", 0),
            "{\"level\":\"error\",\"msg\":\"no \\\"a\\\"\",\"time\":\"1970-01-01T00:00:00Z\"}\n"
        );
        assert_eq!(
            line(false, Level::Warning, "no \"a\"", 0),
            "time=\"1970-01-01T00:00:00Z\" level=warning msg=\"no \\\"a\\\"\"\n"
        );
    }
}
