//! Files of which no more is read than can be of use.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What is in a file, a pipe or a device; `None` when that is more than `most` bytes.
///
/// # Errors
/// What open(2) or read(2) says.
pub fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_not_at_all_and_an_endless_one_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(read(&path, 4).unwrap().as_deref(), Some(&b"1234"[..]));
        assert_eq!(read(&path, 3).unwrap(), None);
        assert_eq!(read(Path::new("/dev/zero"), 1 << 16).unwrap(), None);
        assert!(read(dir.path(), 4).is_err());
    }
}
