//! The file that `--log` names: errors and warnings, as runc writes them.

use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::args::Global;

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
    let time = rfc_3339(seconds);
    if json {
        let value = serde_json::json!({ "level": level, "msg": message, "time": time });
        format!("{value}\n")
    } else {
        format!("time=\"{time}\" level={level} msg={message:?}\n")
    }
}

/// Seconds since 1970 as RFC 3339 writes them, in UTC.
#[must_use]
pub fn rfc_3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest % 3600 / 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_rfc_says() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(rfc_3339(seconds), text);
        }
    }

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
