//! Files that are there whole or not at all.

use std::io::{ErrorKind, Write};
use std::path::Path;

/// Writes `bytes` as the file `path`, and makes its directory when that is missing. Not synced: nothing on a tmpfs outlives
/// the machine.
///
/// One writer at a time: the file beside it that becomes it has one name, with the extension `new`.
///
/// # Errors
/// Those of making, writing and renaming the file.
pub fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = match (std::fs::File::create(&temporary), path.parent()) {
        (Err(error), Some(dir)) if error.kind() == ErrorKind::NotFound => {
            std::fs::create_dir_all(dir)?;
            std::fs::File::create(&temporary)?
        }
        (other, _) => other?,
    };
    file.write_all(bytes)?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("steps/000-a.exit");
        write(&path, b"125\n").unwrap();
        write(&path, b"0\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n");
        assert_eq!(std::fs::read_dir(dir.path().join("steps")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        assert!(write(Path::new("/proc/none/a"), b"").is_err());
        assert!(write(Path::new("/"), b"").is_err());
    }
}
