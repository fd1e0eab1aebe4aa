//! What has been mounted for a container, kept in a file so that whoever comes next neither stacks nor forgets it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::runtime::{RuntimeError, STATE_ROOT, read_bounded, write_whole};

const LIMIT: u64 = 1 << 20;

/// The mounts of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Mounts in the order they were made.
    pub mounts: Vec<Made>,
    /// Whether the whole plan has been carried out.
    pub complete: bool,
}

/// One mount that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Which step of the plan made it.
    pub step: usize,
    /// Mount point on the host.
    pub target: PathBuf,
}

/// The directory of all records.
#[derive(Debug, Clone)]
pub struct Records(PathBuf);

impl Default for Records {
    fn default() -> Self {
        Self(Path::new(STATE_ROOT).join("mounts"))
    }
}

impl Records {
    /// Records kept in another directory.
    #[cfg(test)]
    pub fn at(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// The record of container `id`; empty when there is none.
    pub fn read(&self, id: &str) -> Result<Record, RuntimeError> {
        let path = self.file(id);
        match read_bounded(&path, LIMIT) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| RuntimeError::Json { path, source }),
            Err(RuntimeError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(Record::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the record of container `id`, whole or not at all; an empty one is removed.
    pub fn write(&self, id: &str, record: &Record) -> Result<(), RuntimeError> {
        let path = self.file(id);
        if record.mounts.is_empty() && !record.complete {
            return match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(RuntimeError::io("remove", &path)(error))
                }
                _ => Ok(()),
            };
        }
        write_whole(&path, record)
    }

    /// The ids of all containers with a record, in name order.
    pub fn ids(&self) -> Result<Vec<String>, RuntimeError> {
        let entries = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(RuntimeError::io("read", &self.0))?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let entry = entry.map_err(RuntimeError::io("read", &self.0))?;
            ids.extend(
                entry.file_name().to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned),
            );
        }
        ids.sort();
        Ok(ids)
    }

    fn file(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }
}
