//! A new file of zeros that has its space on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

/// Zeros that are written at once, where the file system cannot reserve space.
const PIECE: usize = 1 << 20;

/// The file cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot make a file of {size} bytes: {source}; nothing is left of it")]
pub struct CreateError {
    path: PathBuf,
    size: u64,
    source: io::Error,
}

/// Makes `path`, of `head` and zeros, `size` bytes in all, for root alone. It is there with all its space or not at all; what was
/// there before is replaced.
///
/// # Errors
/// When the file system is full, or cannot be written to.
pub fn create(path: &Path, size: u64, head: &[u8]) -> Result<File, CreateError> {
    let new = beside(path);
    let made = fill(&new, size, head).and_then(|file| {
        fs::rename(&new, path)?;
        Ok(file)
    });
    made.map_err(|source| {
        // The first error counts; what cannot be removed either is overwritten by the next run.
        let _kept = fs::remove_file(&new);
        CreateError { path: path.to_owned(), size, source }
    })
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn fill(path: &Path, size: u64, head: &[u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let length = i64::try_from(size).map_err(|_| io::Error::from(Errno::EFBIG))?;
    match fallocate(&file, FallocateFlags::empty(), 0, length) {
        Ok(()) => {}
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => write_zeros(&mut file, size)?,
        Err(errno) => return Err(errno.into()),
    }
    file.write_all_at(head, 0)?;
    file.sync_all()?;
    Ok(file)
}

fn write_zeros(file: &mut File, size: u64) -> io::Result<()> {
    let zeros = vec![0; PIECE];
    let mut left = size;
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        file.write_all(zeros.get(..piece).unwrap_or(&zeros))?;
        left -= piece as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_file_has_its_space_and_is_for_root_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "something else").unwrap();
        create(&path, 3 << 20, b"head").unwrap();
        let meta = path.metadata().unwrap();
        assert_eq!((meta.len(), meta.mode() & 0o7777), (3 << 20, 0o600));
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.starts_with(b"head") && bytes[4..].iter().all(|b| *b == 0));
        assert!(meta.blocks() * 512 >= 3 << 20, "there are holes: {} blocks", meta.blocks());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn zeros_are_written_where_space_cannot_be_reserved() {
        let mut file = tempfile::tempfile().unwrap();
        write_zeros(&mut file, (1 << 20) + 513).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert!(bytes.len() == (1 << 20) + 513 && bytes.iter().all(|b| *b == 0));
    }

    #[test]
    fn a_file_that_has_no_room_is_not_there_and_what_was_there_still_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "old").unwrap();
        let message = create(&path, 1 << 60, &[]).unwrap_err().to_string();
        assert!(message.contains("1152921504606846976 bytes"), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
