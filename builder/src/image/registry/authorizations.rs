//! What registries wanted to see of those who read, so that an image and its signatures cost one login.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::http::Secret;

/// Authorizations for reading, by address and repository, for as long as a command runs.
#[derive(Default)]
pub(super) struct Authorizations(Mutex<BTreeMap<(String, String), Secret>>);

impl Authorizations {
    /// What was good for this repository last time.
    pub(super) fn last(&self, base: &str, repository: &str) -> Option<Secret> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(base.to_owned(), repository.to_owned())).cloned()
    }

    /// Notes what this repository wants.
    pub(super) fn note(&self, base: &str, repository: &str, authorization: Secret) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((base.to_owned(), repository.to_owned()), authorization);
    }
}
