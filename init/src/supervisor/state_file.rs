//! What the supervisor knows, in small files on a tmpfs: its successor reads them.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::STATE_ROOT;
use crate::whole;

const LIMIT: u64 = 1 << 20;

/// A path below the state directory.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    Path::new(STATE_ROOT).join(name)
}

/// Writes `value` as JSON, whole or not at all.
pub fn write<T: Serialize>(path: &Path, value: &T) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    whole::write(path, &bytes)
}

/// Reads what [`write`] wrote; `None` when there is no such file or it is not what it should be.
#[must_use]
pub fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("services/a.json");
        write(&path, &vec![1, 2]).unwrap();
        assert_eq!(read::<Vec<u8>>(&path), Some(vec![1, 2]));
        assert_eq!(read::<String>(&path), None);
        assert_eq!(read::<String>(&dir.path().join("none")), None);
        assert_eq!(std::fs::read_dir(dir.path().join("services")).unwrap().count(), 1);
    }
}
