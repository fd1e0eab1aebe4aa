//! Where the documents of a tree come from: a service, or a volume that holds the same tree as files.

use std::fmt;

use crate::fetch::{FetchError, Fetcher};
use crate::volume::Volume;

/// Documents by path.
pub trait Documents: fmt::Debug {
    /// A document of at most `limit` bytes; none if it is not there.
    ///
    /// # Errors
    /// [`FetchError`] if it is there and can't be had.
    fn get(&mut self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, FetchError>;

    /// Who has them, as messages name it.
    fn origin(&self) -> String;

    /// Whether asking for more is in vain.
    fn out_of_time(&self) -> bool {
        false
    }
}

impl Documents for Fetcher<'_> {
    fn get(&mut self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        Fetcher::get(self, path, limit)
    }

    fn origin(&self) -> String {
        self.address()
    }

    fn out_of_time(&self) -> bool {
        Fetcher::out_of_time(self)
    }
}

impl Documents for Volume {
    fn get(&mut self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        Ok(self.read(path, limit)?)
    }

    fn origin(&self) -> String {
        self.device().to_owned()
    }
}
