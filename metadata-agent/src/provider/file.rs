//! A file of this machine as user-data, `file=PATH`, as in LinuxKit.

use std::fs::File;
use std::io::Read;

use super::{Problem, Provider, Reading};
use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::user_data;

/// A file as user-data.
#[derive(Debug, Clone)]
pub struct NamedFile {
    path: String,
}

impl NamedFile {
    /// The file at `path`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self { path: path.to_owned() }
    }
}

impl Provider for NamedFile {
    fn name(&self) -> &'static str {
        "file"
    }

    fn read_local(&self, _local: &Local) -> Result<Option<Reading>, FetchError> {
        let failed = |cause| FetchError::File { path: self.path.clone(), cause };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(user_data::MAX_SIZE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        let mut reading = Reading { source: Some(self.path.clone()), ..Reading::default() };
        if bytes.len() > user_data::MAX_SIZE {
            reading.problems.push(Problem::Undecodable { what: "user-data", why: "is larger than 64 KiB" });
        } else {
            reading.metadata.user_data = Some(bytes);
        }
        Ok(Some(reading))
    }

    fn read(&self, _: &Local, _: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        Err(FetchError::NotHere("no file of that name"))
    }
}
