//! What can go wrong with images.

use std::io;
use std::path::{Path, PathBuf};

use super::archive::ArchiveError;
use super::digest::{Digest, DigestError};
use super::reference::ReferenceError;

/// Why an image cannot be read, or the cache cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The operating system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: a verb, and a preposition if it needs one.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A blob in the cache is missing, or is not what its digest says.
    #[error(
        "image {image}: {what} {digest} in the cache {fault}; \
         remove the image with `lkb cache rm {image}`, then build, pull or import it again"
    )]
    Damaged {
        /// The image.
        image: String,
        /// `layer`, `manifest`, …
        what: &'static str,
        /// The blob.
        digest: Digest,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A document of the image says something that cannot be used.
    #[error("image {image}: {what} {digest} cannot be used: {reason}")]
    Document {
        /// The image.
        image: String,
        /// `manifest`, `index`, `configuration`, `layer`.
        what: &'static str,
        /// The blob.
        digest: String,
        /// Why.
        reason: String,
    },
    /// The image is there, but not for the machine that is being built.
    #[error(
        "image {image} is in the cache for {found}, not for linux/{wanted}; build or import it for linux/{wanted}"
    )]
    Platform {
        /// The image.
        image: String,
        /// Architecture asked for.
        wanted: String,
        /// Platforms that are there.
        found: String,
    },
    /// There is no image of this name.
    #[error(
        "the cache has no image {image}; `lkb cache ls` shows what it has, `lkb cache pull` brings others"
    )]
    Absent {
        /// The name.
        image: String,
    },
    /// Expanding a layer would take more than any real layer does.
    #[error("image {image}: layer {digest} expands to more than {limit} bytes")]
    Expansion {
        /// The image.
        image: String,
        /// The compressed blob.
        digest: Digest,
        /// Most bytes that this layer may have.
        limit: u64,
    },
    /// The cache's own index cannot be understood.
    #[error("the image cache's index {} is damaged: {reason}; restore it, or remove the cache", path.display())]
    Index {
        /// `index.json`.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What should be imported is not an image.
    #[error("cannot import {}: {reason}", path.display())]
    Import {
        /// The directory or archive.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What should be imported is not a proper tar archive.
    #[error("cannot import {}: {source}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: ArchiveError,
    },
    /// What should be imported has a name that is no image reference.
    #[error("cannot import {}: {source}", path.display())]
    Name {
        /// The directory or archive.
        path: PathBuf,
        /// Why.
        source: ReferenceError,
    },
    /// There is no place for the cache.
    #[error("cannot tell where the image cache is: set LKB_CACHE, or HOME")]
    NoHome,
}

/// What is wrong with a blob.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It is too short or too long.
    #[error("has {found} bytes instead of {expected}")]
    Size {
        /// Bytes there are.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// It has other bytes.
    #[error("is damaged (its content has digest {0})")]
    Digest(Digest),
}

impl ImageError {
    /// For `map_err` on a system call: `ImageError::io("open", path)`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// A document that names a digest that cannot be verified.
    pub(super) fn digest(image: &str, what: &'static str, error: &DigestError) -> Self {
        Self::Document { image: image.into(), what, digest: String::new(), reason: error.to_string() }
    }
}
