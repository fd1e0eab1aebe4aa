//! What a service said before it failed: the last line of its standard error.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How far from the end of a log the line is looked for, in bytes.
const LOOK_BACK: u64 = 2048;
/// Longer lines are cut, in characters: the console is not the log.
const LONGEST: usize = 400;

/// The last line that `log` has after its first `start` bytes; `None` when there is none, or no log.
pub fn last_words(log: &Path, start: u64) -> io::Result<Option<String>> {
    let mut file = match File::open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    let end = file.metadata()?.len();
    let from = start.max(end.saturating_sub(LOOK_BACK));
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOOK_BACK).read_to_end(&mut bytes)?;
    Ok(last_line(&String::from_utf8_lossy(&bytes)))
}

fn last_line(text: &str) -> Option<String> {
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(LONGEST).collect())
}

/// How long a log is now; nothing when there is none yet.
pub fn length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_something_is_taken() {
        assert_eq!(last_line("one\ntwo\r\n\n"), Some("two".into()));
        assert_eq!(last_line("\x1b[31mred"), Some("[31mred".into()));
        assert_eq!(last_line("\n \n"), None);
        assert_eq!(last_line(&"x".repeat(500)).map(|line| line.len()), Some(LONGEST));
    }

    #[test]
    fn what_an_earlier_run_said_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        std::fs::write(&log, "old\n").unwrap();
        let start = length(&log);
        assert_eq!(last_words(&log, start).unwrap(), None);
        std::fs::write(&log, "old\nnew\n").unwrap();
        assert_eq!(last_words(&log, start).unwrap(), Some("new".into()));
        assert_eq!(last_words(&dir.path().join("none"), 0).unwrap(), None);
        assert_eq!(last_words(&log, 0).unwrap(), Some("new".into()));
    }
}
