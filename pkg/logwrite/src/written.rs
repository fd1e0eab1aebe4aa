//! What of a log is in files already.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// Bytes that are looked at: as many as the supervisor keeps of all logs together, and tells again.
const BYTES: u64 = 1 << 20;

/// The newest lines of a log. Each line was told once, and is written once; a clock that was set back makes no line an old one.
#[derive(Debug, Default)]
pub struct Written {
    /// How often each line is there, by its hash.
    lines: HashMap<u64, u32>,
    hasher: RandomState,
    newest: String,
}

impl Written {
    /// Reads these files from their ends, the newest file first, until there is enough, or a file is not there.
    ///
    /// # Errors
    /// What open(2) or read(2) says.
    pub fn read(files: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let mut written = Self::default();
        let mut left = BYTES;
        for path in files {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(left)))?;
            let mut text = Vec::new();
            file.take(left).read_to_end(&mut text)?;
            written.add(&text);
            left = left.saturating_sub(length);
            if left == 0 {
                break;
            }
        }
        Ok(written)
    }

    fn add(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|b| *b == b'\n') {
            *self.lines.entry(self.hasher.hash_one(line)).or_default() += 1;
            let time = line.split(|b| *b == b' ').next().unwrap_or_default();
            if time > self.newest.as_bytes() {
                self.newest = String::from_utf8_lossy(time).into_owned();
            }
        }
    }

    /// Whether the line is there; the same line is there no more then, unless it was there twice.
    pub fn take(&mut self, line: &str) -> bool {
        match self.lines.get_mut(&self.hasher.hash_one(line.as_bytes())) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    /// Whether everything in the files was said before this time.
    #[must_use]
    pub fn is_older_than(&self, time: &str) -> bool {
        // Times are all written alike, so their order is that of their text.
        self.newest.as_str() < time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_as_often_as_it_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let newest = file("a", "3 x\n3 x\n3 cut o");
        let older = file("b", "1 x\n2 x\n");
        let missing = directory.path().join("c");
        let unread = file("d", "0 x\n");
        let mut written = Written::read([newest, older, missing, unread]).unwrap();
        let taken =
            ["3 x\n", "3 x\n", "3 x\n", "2 x\n", "3 cut off\n", "0 x\n"].map(|line| written.take(line));
        assert_eq!(taken, [true, true, false, true, false, false]);
        assert!(written.is_older_than("4") && !written.is_older_than("3"));
    }

    #[test]
    fn no_more_is_read_than_the_supervisor_tells() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| directory.path().join(name));
        let text: String = (0..400_000).map(|n| format!("{n:06}\n")).collect();
        for path in &paths {
            std::fs::write(path, &text).unwrap();
        }
        let mut written = Written::read(paths).unwrap();
        assert!(written.lines.values().sum::<u32>() <= 150_000);
        assert!(written.take("399999\n") && !written.take("000000\n"));
    }
}
