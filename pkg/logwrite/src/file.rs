//! A log file that is put aside when it is full: `NAME.log`, then `NAME.log.0`, `NAME.log.1`, the oldest last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::message::Message;
use crate::written::Written;

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
    /// What was written before a restart, until something newer comes.
    before: Option<Written>,
}

impl LogFile {
    /// Opens the log of `source` in `directory`, or makes it.
    ///
    /// # Errors
    /// What open(2) or read(2) says.
    pub fn open(directory: &Path, source: &str) -> io::Result<Self> {
        let path = directory.join(format!("{source}.log"));
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(&path)?;
        let written = file.metadata()?.len();
        let files = std::iter::once(path.clone()).chain((0..).map(|number| aside(&path, number)));
        let before = Some(Written::read(files)?);
        Ok(Self { path, file, written, before })
    }

    /// Writes a message, unless it was written before.
    ///
    /// # Errors
    /// What write(2) or rename(2) says; a line may then be there in part.
    pub fn write(&mut self, message: &Message, limits: Limits) -> io::Result<()> {
        let line = message.line();
        if let Some(before) = &mut self.before {
            if before.take(&line) {
                return Ok(());
            }
            if before.is_older_than(&message.time) {
                self.before = None;
            }
        }
        self.file.write_all(line.as_bytes())?;
        self.written += line.len() as u64;
        if self.written > limits.size { self.put_aside(limits.files) } else { Ok(()) }
    }

    fn put_aside(&mut self, files: u32) -> io::Result<()> {
        for number in (1..files).rev() {
            match fs::rename(aside(&self.path, number - 1), aside(&self.path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if files == 0 {
            fs::remove_file(&self.path)?;
        } else {
            fs::rename(&self.path, aside(&self.path, 0))?;
        }
        self.file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
        self.written = 0;
        Ok(())
    }
}

/// The full file of this number: 0 is the newest.
fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
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

    fn write(directory: &Path, messages: &[Message], limits: Limits) {
        let mut file = LogFile::open(directory, "s").unwrap();
        messages.iter().for_each(|message| file.write(message, limits).unwrap());
    }

    /// All that is there, the oldest file first.
    fn whole(directory: &Path) -> String {
        let mut texts = texts(directory);
        texts.sort_by_key(|(name, _)| std::cmp::Reverse(name.clone()));
        texts.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn what_was_written_before_a_restart_is_not_written_again() {
        let messages: Vec<Message> = (0..7).map(message).collect();
        let text: String = messages.iter().map(Message::line).collect();
        for limits in [Limits { size: 1000, files: 2 }, Limits { size: 62, files: 5 }] {
            let directory = tempfile::tempdir().unwrap();
            write(directory.path(), &messages[..5], limits);
            write(directory.path(), &messages, limits);
            assert_eq!(whole(directory.path()), text, "{limits:?}");
        }
    }

    #[test]
    fn lines_of_one_moment_are_all_written_and_once() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { size: 1000, files: 2 };
        let said = |msg: &str| Message { msg: msg.into(), ..message(0) };
        let messages = ["a", "a", "b", "a"].map(said);
        write(directory.path(), &messages[..3], limits);
        write(directory.path(), &messages, limits);
        assert_eq!(whole(directory.path()), messages.map(|message| message.line()).concat());
    }

    #[test]
    fn a_clock_that_was_set_back_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { size: 1000, files: 2 };
        let messages = [50, 51, 3, 4, 2].map(message);
        write(directory.path(), &messages[..2], limits);
        write(directory.path(), &messages[2..], limits);
        assert_eq!(whole(directory.path()), messages.map(|message| message.line()).concat());
    }
}
