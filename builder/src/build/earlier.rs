//! The earlier tar of `--input-tar`: whether it is one that LinuxKit would take.
//!
//! LinuxKit looks in it for the configuration that it was made of, which a `files` entry with `metadata:` puts there, and copies
//! what that has in common with the new one. Here the cache has all of it, so that nothing but that file is looked for.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{Config, FileKind};
use crate::image::{ArchiveError, EntryKind, entries};
use crate::tree::clean;

/// Why an earlier tar is of no use.
#[derive(Debug, thiserror::Error)]
pub enum EarlierError {
    /// It cannot be read.
    #[error("--input-tar: cannot read {}: {source}", path.display())]
    Read {
        /// The tar.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no tar archive.
    #[error("--input-tar: {} {source}", path.display())]
    Archive {
        /// The tar.
        path: PathBuf,
        /// Why not.
        source: ArchiveError,
    },
    /// The configuration does not say where a tar has the one that it was made of.
    #[error(
        "--input-tar: {} cannot be used, since no `files` entry has `metadata:`, which keeps in a tar what it was made of; \
         add one, or leave --input-tar away: what has not changed comes from the cache in any case", path.display()
    )]
    NoMetadata {
        /// The tar.
        path: PathBuf,
    },
    /// The tar does not have it.
    #[error("--input-tar: {} has no file {wanted}, which would say what it was made of; leave --input-tar away", path.display())]
    Missing {
        /// The tar.
        path: PathBuf,
        /// The path of the file, as the configuration has it.
        wanted: String,
    },
}

/// Checks that a tar has the file in which this configuration keeps its metadata.
///
/// # Errors
/// When the configuration keeps none, the tar has no such file, or it cannot be read.
pub fn check_earlier(tar: &Path, config: &Config) -> Result<(), EarlierError> {
    let path = || tar.to_owned();
    let is_metadata = |kind: &FileKind| matches!(kind, FileKind::Metadata(_));
    let Some(wanted) = config.files.iter().find(|file| is_metadata(&file.kind)).map(|file| &file.path) else {
        return Err(EarlierError::NoMetadata { path: path() });
    };
    let opened = File::open(tar).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (len, file) = opened.map_err(|source| EarlierError::Read { path: path(), source })?;
    let found = entries(&file, 0, len).map_err(|source| EarlierError::Archive { path: path(), source })?;
    // A path that is none is reported when the file is put into the tree.
    let name = clean(wanted.as_bytes()).unwrap_or_default();
    let is_it = |entry: &crate::image::Entry| {
        matches!(entry.kind, EntryKind::File { .. }) && clean(&entry.path).is_ok_and(|path| path == name)
    };
    match found.iter().any(is_it) {
        true => Ok(()),
        false => Err(EarlierError::Missing { path: path(), wanted: wanted.clone() }),
    }
}
