//! Logs on disk: `NAME.log` for standard error, `NAME.out.log` for standard output.
//!
//! A file that cannot be written, on a full or read-only file system, is left alone for a while; it costs its lines on
//! disk, but neither memory nor anybody's time. That is said once, and so is its end, with the number of lines lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use super::rotation::{self, KEPT, Sizes};

/// How long a file is left alone after it could not be written.
pub const RETRY: Duration = Duration::from_secs(10);
/// How often it is looked whether a path still leads to the open file: a disk may have been mounted over it, or somebody
/// may have removed it.
const LOOK: Duration = Duration::from_secs(1);
/// How much of a file's end is read back (bytes).
const READ_BACK: u64 = 32 * 1024;

/// One of the logs of a [`Disk`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogId(usize);

/// All logs in one directory.
#[derive(Debug)]
pub struct Disk {
    directory: PathBuf,
    logs: Vec<Log>,
    /// What all files may have together; asked for when the first is opened.
    limit: Option<u64>,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    open: Option<Open>,
    /// Sizes of the files that were put aside.
    aside: [u64; KEPT],
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    size: u64,
    /// The last line in it has no end.
    amid_line: bool,
    looked: Instant,
}

#[derive(Debug)]
struct Trouble {
    until: Instant,
    missed: u64,
}

/// What became of lines that were to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// They are in the file, or they are not and it was said before.
    Quietly,
    /// They are not, for the first time: in words.
    Trouble(String),
    /// They are, for the first time after a trouble: in words.
    Recovered(String),
}

impl Disk {
    /// Logs in `directory`, which is made when something is written.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), logs: Vec::new(), limit: None }
    }

    /// One more log, in the file `name`.
    pub fn add(&mut self, name: &str) -> LogId {
        let path = self.directory.join(name);
        let aside = [0; KEPT];
        self.logs.push(Log { path, open: None, aside, trouble: None });
        LogId(self.logs.len() - 1)
    }

    /// The end of a log as it lies on disk, in whole lines; empty when there is none.
    #[must_use]
    pub fn read_back(&self, id: LogId) -> String {
        let Some(log) = self.logs.get(id.0) else { return String::new() };
        // What cannot be read now will be told when it cannot be written.
        tail(&log.path).unwrap_or_default()
    }

    /// Writes `text`, which has `lines` whole lines.
    pub fn write(&mut self, id: LogId, text: &str, lines: u64, now: Instant) -> Written {
        let Some(log) = self.logs.get_mut(id.0) else { return Written::Quietly };
        if let Some(trouble) = log.trouble.as_mut().filter(|trouble| now < trouble.until) {
            trouble.missed += lines;
            return Written::Quietly;
        }
        let before = log.trouble.take();
        let missed = before.as_ref().map_or(0, |trouble| trouble.missed);
        let result = self.try_write(id.0, text, missed, now);
        let Some(log) = self.logs.get_mut(id.0) else { return Written::Quietly };
        match (result, before.is_some()) {
            (Ok(()), false) => Written::Quietly,
            (Ok(()), true) => Written::Recovered(format!(
                "{} is written again; {missed} lines are missing",
                log.path.display()
            )),
            (Err(error), said) => {
                log.open = None;
                log.trouble = Some(Trouble { until: now + RETRY, missed: missed + lines });
                let words = format!(
                    "cannot write {}: {error}; its lines are kept in memory only",
                    log.path.display()
                );
                if said { Written::Quietly } else { Written::Trouble(words) }
            }
        }
    }

    fn try_write(&mut self, index: usize, text: &str, missed: u64, now: Instant) -> io::Result<()> {
        let mut text = std::borrow::Cow::Borrowed(text);
        if missed > 0 {
            text = format!("({missed} lines before this one could not be written)\n{text}").into();
        }
        let more = text.len() as u64;
        let gone = |error: io::Error| io::Error::new(error.kind(), format!("its directory: {error}"));
        fs::create_dir_all(&self.directory).map_err(gone)?;
        if let Some(log) = self.logs.get_mut(index) {
            if log.was_replaced(now) {
                log.open = None;
                self.limit = None;
            }
            log.open(now)?;
            if log.open.as_ref().is_some_and(|open| rotation::is_due(open.size, more)) {
                log.put_aside()?;
                log.open(now)?;
            }
        }
        self.make_room(more, now)?;
        let log = self.logs.get_mut(index).and_then(|log| log.open.as_mut());
        log.map_or(Ok(()), |open| open.write(text.as_bytes()))
    }

    /// Removes the oldest files of the largest logs until `more` bytes are within the limit.
    fn make_room(&mut self, more: u64, now: Instant) -> io::Result<()> {
        let limit = match self.limit {
            Some(limit) => limit,
            None => {
                let found = nix::sys::statvfs::statvfs(&self.directory)?;
                *self.limit.insert(rotation::total_limit(found.blocks() * found.fragment_size()))
            }
        };
        let mut sizes: Vec<Sizes> = self.logs.iter().map(Log::sizes).collect();
        while let Some(victim) = rotation::victim(&sizes, more, limit) {
            let (Some(log), Some(sizes)) = (self.logs.get_mut(victim), sizes.get_mut(victim)) else { break };
            log.remove_oldest(now)?;
            *sizes = log.sizes();
        }
        Ok(())
    }

    /// Closes all files.
    pub fn close(&mut self) {
        for log in &mut self.logs {
            log.open = None;
        }
    }
}

impl Log {
    fn sizes(&self) -> Sizes {
        let mut sizes = Sizes::default();
        let current = self.open.as_ref().map_or(0, |open| open.size);
        sizes.iter_mut().zip([current].into_iter().chain(self.aside)).for_each(|(size, found)| *size = found);
        sizes
    }

    /// Whether the path leads elsewhere now.
    fn was_replaced(&mut self, now: Instant) -> bool {
        let due = |open: &&mut Open| now.saturating_duration_since(open.looked) >= LOOK;
        let Some(open) = self.open.as_mut().filter(due) else { return false };
        open.looked = now;
        let found = fs::symlink_metadata(&self.path);
        found.map_or(true, |found| (found.dev(), found.ino()) != open.identity)
    }

    fn open(&mut self, now: Instant) -> io::Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .mode(0o640)
            .custom_flags(O_NOFOLLOW | O_NONBLOCK)
            .open(&self.path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let amid_line = found.len() > 0 && !ends_with_newline(&file, found.len());
        let identity = (found.dev(), found.ino());
        self.open = Some(Open { file, identity, size: found.len(), amid_line, looked: now });
        for (index, size) in (1..).zip(&mut self.aside) {
            *size = fs::symlink_metadata(aside(&self.path, index)).map_or(0, |found| found.len());
        }
        Ok(())
    }

    /// Renames the current file to `.1`, that to `.2`, and lets the last go.
    fn put_aside(&mut self) -> io::Result<()> {
        self.open = None;
        for index in (1..=KEPT).rev() {
            let from = if index == 1 { self.path.clone() } else { aside(&self.path, index - 1) };
            unless_missing(fs::rename(from, aside(&self.path, index)))?;
        }
        Ok(())
    }

    fn remove_oldest(&mut self, now: Instant) -> io::Result<()> {
        match rotation::oldest(&self.sizes()) {
            0 => {
                let is_open = self.open.take().is_some();
                unless_missing(fs::remove_file(&self.path))?;
                if is_open { self.open(now) } else { Ok(()) }
            }
            index => {
                unless_missing(fs::remove_file(aside(&self.path, index)))?;
                if let Some(size) = self.aside.get_mut(index - 1) {
                    *size = 0;
                }
                Ok(())
            }
        }
    }
}

impl Open {
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.amid_line {
            self.append(b"\n")?;
        }
        self.append(text)
    }

    fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let (written, rest) = bytes.split_at(count.min(bytes.len()));
            self.amid_line = !written.ends_with(b"\n");
            self.size += written.len() as u64;
            bytes = rest;
        }
        Ok(())
    }
}

/// `NAME.log.1`
fn aside(path: &Path, index: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{index}"));
    PathBuf::from(name)
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn ends_with_newline(file: &File, length: u64) -> bool {
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1).is_ok() && last == *b"\n"
}

fn tail(path: &Path) -> io::Result<String> {
    let file = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(String::new());
    }
    let start = found.len().saturating_sub(READ_BACK);
    let mut bytes = vec![0; usize::try_from(found.len() - start).unwrap_or_default()];
    let mut filled = 0;
    while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read_at(free, start + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    let text = String::from_utf8_lossy(&bytes);
    // The first line may have lost its beginning.
    Ok(if start == 0 {
        text.into_owned()
    } else {
        text.split_once('\n').map_or_else(String::new, |(_, rest)| rest.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(dir: &Path) -> (Disk, LogId) {
        let mut disk = Disk::new(&dir.join("log"));
        let id = disk.add("a.log");
        (disk, id)
    }

    #[test]
    fn a_log_is_put_aside_when_it_is_full_and_two_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (mut disk, id) = disk(dir.path());
        let now = Instant::now();
        for number in 0..5 {
            let text = format!("{number}{}\n", "x".repeat(700_000));
            assert_eq!(disk.write(id, &text, 1, now), Written::Quietly);
        }
        let first = |name: &str| fs::read(dir.path().join("log").join(name)).unwrap()[0];
        assert_eq!([first("a.log"), first("a.log.1"), first("a.log.2")], *b"432");
        assert_eq!(fs::read_dir(dir.path().join("log")).unwrap().count(), 3);
    }

    #[test]
    fn what_all_logs_have_together_is_limited() {
        let dir = tempfile::tempdir().unwrap();
        let (mut disk, loud) = disk(dir.path());
        let quiet = disk.add("quiet.log");
        disk.limit = Some(2_000_000);
        let now = Instant::now();
        disk.write(quiet, "kept\n", 1, now);
        for _ in 0..20 {
            assert_eq!(disk.write(loud, &"x".repeat(500_000), 1, now), Written::Quietly);
            let sizes = fs::read_dir(dir.path().join("log")).unwrap();
            let total: u64 = sizes.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
            assert!(total <= 2_000_001, "{total}");
        }
        assert_eq!(disk.read_back(quiet), "kept\n");
    }

    #[test]
    fn a_log_that_cannot_be_written_is_said_once_and_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut disk, id) = disk(dir.path());
        let now = Instant::now();
        // A directory in its place cannot be written by root either.
        let path = dir.path().join("log/a.log");
        fs::create_dir_all(&path).unwrap();
        let Written::Trouble(words) = disk.write(id, "1\n", 1, now) else { panic!("no trouble") };
        assert!(words.contains("a.log") && words.ends_with("its lines are kept in memory only"), "{words}");
        assert_eq!(disk.write(id, "2\n3\n", 2, now + RETRY / 2), Written::Quietly);
        assert_eq!(disk.write(id, "4\n", 1, now + RETRY), Written::Quietly);
        fs::remove_dir(&path).unwrap();
        assert_eq!(disk.write(id, "5\n", 1, now + RETRY), Written::Quietly);
        let Written::Recovered(words) = disk.write(id, "6\n", 1, now + RETRY * 2) else {
            panic!("not recovered")
        };
        assert!(words.ends_with("is written again; 5 lines are missing"), "{words}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "(5 lines before this one could not be written)\n6\n");
        assert_eq!(disk.write(id, "7\n", 1, now + RETRY * 2), Written::Quietly);
    }

    #[test]
    fn half_a_line_of_a_former_run_is_ended_and_a_link_is_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (mut disk, id) = disk(dir.path());
        fs::create_dir_all(dir.path().join("log")).unwrap();
        let path = dir.path().join("log/a.log");
        fs::write(&path, "half").unwrap();
        let now = Instant::now();
        assert_eq!(disk.write(id, "whole\n", 1, now), Written::Quietly);
        assert_eq!(fs::read_to_string(&path).unwrap(), "half\nwhole\n");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        // What a path leads to is looked at every second.
        assert!(matches!(disk.write(id, "x\n", 1, now + LOOK), Written::Trouble(_)));
    }

    #[test]
    fn a_file_that_was_replaced_is_left_for_the_one_that_is_there_now() {
        let dir = tempfile::tempdir().unwrap();
        let (mut disk, id) = disk(dir.path());
        let now = Instant::now();
        disk.write(id, "1\n", 1, now);
        fs::rename(dir.path().join("log/a.log"), dir.path().join("gone")).unwrap();
        disk.write(id, "2\n", 1, now + LOOK);
        assert_eq!(disk.read_back(id), "2\n");
    }

    #[test]
    fn only_whole_lines_of_the_end_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let (mut disk, id) = disk(dir.path());
        assert_eq!(disk.read_back(id), "");
        let text = "0123456789\n".repeat(5000);
        disk.write(id, &text, 5000, Instant::now());
        let back = disk.read_back(id);
        assert!(back.len() as u64 <= READ_BACK && back.len() as u64 > READ_BACK - 11);
        assert!(back.lines().all(|line| line == "0123456789"));
    }
}
