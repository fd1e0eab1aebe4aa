//! A log file that is put aside when it is full: `NAME.log`, then `NAME.log.0`, `NAME.log.1`, the oldest last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::message::Message;

/// Where the last line of a file is looked for: more than a line can have.
const TAIL: u64 = 64 * 1024;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in a file, beyond which it is put aside.
    pub size: u64,
    /// Files that were put aside.
    pub files: u32,
}

/// A log file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
    /// The time of the newest line, which tells what was written before a restart.
    newest: String,
}

impl LogFile {
    /// Opens the log of `source` in `directory`, or makes it.
    ///
    /// # Errors
    /// What open(2) or read(2) says.
    pub fn open(directory: &Path, source: &str) -> io::Result<Self> {
        let path = directory.join(format!("{source}.log"));
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(0o640).open(&path)?;
        let written = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(written.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        (&file).take(TAIL).read_to_end(&mut tail)?;
        let tail = String::from_utf8_lossy(&tail);
        let newest =
            tail.lines().last().and_then(|line| line.split(' ').next()).unwrap_or_default().to_owned();
        Ok(Self { path, file, written, newest })
    }

    /// Writes a message, unless it was written before.
    ///
    /// # Errors
    /// What write(2) or rename(2) says; a line may then be there in part.
    pub fn write(&mut self, message: &Message, limits: Limits) -> io::Result<()> {
        // Times are all written alike, so their order is that of their text.
        if message.time <= self.newest {
            return Ok(());
        }
        let line = message.line();
        self.file.write_all(line.as_bytes())?;
        self.written += line.len() as u64;
        self.newest.clone_from(&message.time);
        if self.written > limits.size { self.put_aside(limits.files) } else { Ok(()) }
    }

    fn put_aside(&mut self, files: u32) -> io::Result<()> {
        for number in (1..files).rev() {
            match fs::rename(self.aside(number - 1), self.aside(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if files == 0 {
            fs::remove_file(&self.path)?;
        } else {
            fs::rename(&self.path, self.aside(0))?;
        }
        self.file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
        self.written = 0;
        Ok(())
    }

    fn aside(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { size: 62, files: 2 };

    fn message(second: u32) -> Message {
        let time = format!("2026-11-22T00:00:{second:02}Z");
        Message { time, source: "s".into(), msg: format!("line {second}") }
    }

    fn texts(directory: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|e| (e.file_name().into_string().unwrap(), fs::read_to_string(e.path()).unwrap()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn full_files_are_put_aside_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = LogFile::open(directory.path(), "s").unwrap();
        (0..8).for_each(|second| file.write(&message(second), LIMITS).unwrap());
        // Three lines are more than 62 bytes, two are not.
        let lines =
            |seconds: std::ops::Range<u32>| seconds.map(|second| message(second).line()).collect::<String>();
        let wanted = [("s.log", lines(6..8)), ("s.log.0", lines(3..6)), ("s.log.1", lines(0..3))];
        assert_eq!(texts(directory.path()), wanted.map(|(name, text)| (name.to_owned(), text)));
        (8..12).for_each(|second| file.write(&message(second), LIMITS).unwrap());
        let wanted = [("s.log", lines(12..12)), ("s.log.0", lines(9..12)), ("s.log.1", lines(6..9))];
        assert_eq!(texts(directory.path()), wanted.map(|(name, text)| (name.to_owned(), text)));
    }

    #[test]
    fn what_was_written_before_a_restart_is_not_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { size: 1000, files: 2 };
        for _ in 0..2 {
            let mut file = LogFile::open(directory.path(), "s").unwrap();
            (0..3).for_each(|second| file.write(&message(second), limits).unwrap());
        }
        let text: String = (0..3).map(|second| message(second).line()).collect();
        assert_eq!(texts(directory.path()), [("s.log".to_owned(), text)]);
    }
}
