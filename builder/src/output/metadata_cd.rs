//! The metadata CD as a file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::OutputError;
use super::iso::metadata_cd;

/// Writes a CD with `config` on it to `path`, whole or not at all. It is readable by its owner only: metadata may hold
/// passwords.
///
/// # Errors
/// When the metadata is too large, or the file cannot be written.
pub fn create(path: &Path, config: &[u8]) -> Result<(), OutputError> {
    let mut image = Vec::new();
    metadata_cd::write(&mut image, config)
        .map_err(|source| OutputError::Disk { format: "the metadata CD", source: Box::new(source) })?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&image)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        // The first error counts.
        fs::remove_file(&temporary).ok();
        OutputError::io("write", path)(source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.iso");
        fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
        create(&path, b"said").unwrap();
        let mut expected = Vec::new();
        metadata_cd::write(&mut expected, b"said").unwrap();
        assert_eq!(fs::read(&path).unwrap(), expected);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let error = create(&dir.path().join("no/data.iso"), b"").unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
    }
}
