//! Files in the bundle, between us and the runtime.

use std::path::{Path, PathBuf};

use crate::runtime::read_bounded;

pub(super) fn pid_file(bundle: &Path) -> PathBuf {
    bundle.join("init.pid")
}

pub(super) fn read_pid(file: &Path) -> Result<u32, String> {
    let bytes = read_bounded(file, 64).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    text.trim().parse().map_err(|_| format!("{} does not hold a process id: {text:?}", file.display()))
}

/// For root alone, and new: never a file that somebody else holds open.
pub(super) fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(file)?.write_all(bytes)
}

pub(super) fn remove_files(files: &[PathBuf]) {
    for file in files {
        // They are in the bundle, which is removed as a whole in the end; missing is as good.
        std::fs::remove_file(file).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn private_files_are_roots_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        std::fs::write(&file, "old").unwrap();
        write_private(&file, b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_pid_file_holds_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        std::fs::write(&file, "42\n").unwrap();
        assert_eq!(read_pid(&file), Ok(42));
        std::fs::write(&file, "x").unwrap();
        assert!(read_pid(&file).is_err());
    }
}
