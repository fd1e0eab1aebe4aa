//! Where a package's build has its context and its image, until that is in the cache.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::PkgError;

/// What the directories' names begin with.
const PREFIX: &str = "tmp-pkg-";
/// Held while directories are made and looked through.
const LOCK: &str = ".pkg.lock";

/// A directory that is gone when the build is, or when the next one begins if the build was killed.
#[derive(Debug)]
pub(super) struct Scratch {
    dir: PathBuf,
    /// Tells the others that it is in use; the kernel releases it when the process dies.
    _lock: File,
}

impl Scratch {
    /// Makes one in the directory `beside`, and removes those of killed builds.
    pub(super) fn new(beside: &Path) -> Result<Self, PkgError> {
        let path = beside.join(LOCK);
        let all = OpenOptions::new().append(true).create(true).open(&path);
        let all = all.map_err(PkgError::io("opening", &path))?;
        all.lock().map_err(PkgError::io("locking", &path))?;
        sweep(beside)?;
        // Process ids repeat between containers that share a cache; the clock tells those apart.
        let nanoseconds = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let dir = beside.join(format!("{PREFIX}{}-{nanoseconds}", std::process::id()));
        fs::create_dir(&dir).map_err(PkgError::io("making", &dir))?;
        let lock = File::open(&dir).map_err(PkgError::io("opening", &dir))?;
        lock.lock().map_err(PkgError::io("locking", &dir))?;
        Ok(Self { dir, _lock: lock })
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("lkb: can't remove {}: {error}", self.dir.display());
        }
    }
}

/// Removes the directories that nobody has locked.
fn sweep(beside: &Path) -> Result<(), PkgError> {
    for entry in fs::read_dir(beside).map_err(PkgError::io("reading", beside))? {
        let entry = entry.map_err(PkgError::io("reading", beside))?;
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let dir = entry.path();
        let lock = match File::open(&dir) {
            Ok(lock) => lock,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(PkgError::io("opening", dir)(error)),
        };
        match lock.try_lock() {
            // Its build may have ended just now, and have removed it itself.
            Ok(()) if !dir.exists() => {}
            Ok(()) => fs::remove_dir_all(&dir).map_err(PkgError::io("removing", &dir))?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(PkgError::io("locking", dir)(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_the_build() {
        let beside = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(beside.path()).unwrap();
        let dir = scratch.path().to_owned();
        fs::create_dir_all(dir.join("context/a")).unwrap();
        drop(scratch);
        assert!(!dir.exists());
    }

    #[test]
    fn what_a_killed_build_left_goes_with_the_next_and_what_another_uses_stays() {
        let beside = tempfile::tempdir().unwrap();
        let killed = beside.path().join("tmp-pkg-1");
        fs::create_dir_all(killed.join("context")).unwrap();
        fs::create_dir_all(beside.path().join("blobs")).unwrap();
        let other = Scratch::new(beside.path()).unwrap();
        assert!(!killed.exists());
        let own = Scratch::new(beside.path()).unwrap();
        assert!(other.path().exists() && own.path().exists() && beside.path().join("blobs").exists());
        assert_ne!(other.path(), own.path());
    }
}
