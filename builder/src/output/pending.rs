//! Output files that appear under their name when all of a build is complete, or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::OutputError;

/// A file that is being written, under a temporary name in the directory where it will be.
///
/// [`super::Job`] gives it its name when every file of the build is complete.
#[derive(Debug)]
pub struct PendingFile {
    file: File,
    path: PathBuf,
}

/// The job's hold on a [`PendingFile`]; removes it when dropped unfinished.
#[derive(Debug)]
pub(super) struct Claim {
    file: File,
    temporary: PathBuf,
    /// `None`: an intermediate file that nobody will see.
    path: Option<PathBuf>,
    finished: bool,
}

impl PendingFile {
    /// Where the file is now, for tools that need a path. It is gone when the build fails.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself, for writers that seek, or that leave holes.
    pub fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }
}

/// Starts a file. Its temporary name is always the same, so that the next build replaces what a killed one left;
/// a lock tells a leftover from another build that is running.
pub(super) fn create(dir: &Path, name: &str, keep: bool) -> Result<(PendingFile, Claim), OutputError> {
    let temporary = dir.join(format!(".{name}.lkb-partial"));
    let error = |action| OutputError::io(action, &temporary);
    loop {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&temporary).map_err(error("create"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OutputError::Busy(dir.join(name))),
            Err(TryLockError::Error(source)) => return Err(error("lock")(source)),
        }
        // Whoever had the lock before may have renamed or removed the file since it was opened.
        let ours = file.metadata().map_err(error("create"))?;
        match fs::metadata(&temporary) {
            Ok(now) if (now.dev(), now.ino()) == (ours.dev(), ours.ino()) => {}
            _ => continue,
        }
        let path = keep.then(|| dir.join(name));
        let second = file.try_clone().map_err(error("create"))?;
        let claim = Claim { file: second, temporary: temporary.clone(), path, finished: false };
        file.set_len(0).map_err(error("truncate"))?;
        return Ok((PendingFile { file, path: temporary }, claim));
    }
}

impl Claim {
    /// Makes the content durable.
    pub(super) fn sync(&self) -> Result<(), OutputError> {
        match self.path {
            Some(_) => self.file.sync_all().map_err(OutputError::io("write", &self.temporary)),
            None => Ok(()),
        }
    }

    /// Gives the file its name, replacing what was there.
    pub(super) fn publish(mut self) -> Result<Option<PathBuf>, OutputError> {
        let Some(path) = self.path.take() else { return Ok(None) };
        fs::rename(&self.temporary, &path)
            .map_err(OutputError::io("rename the finished output to", &path))?;
        self.finished = true;
        Ok(Some(path))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort, and already on the way out of an error: the next build replaces what stays.
            drop(fs::remove_file(&self.temporary));
        }
    }
}

impl Read for PendingFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for PendingFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
