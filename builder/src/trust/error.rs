//! Why an image is not trusted.

use std::io;
use std::path::PathBuf;

use crate::image::{Digest, ImageError, ReferenceError};

/// Why it cannot be told which images are trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A rule does not name anything.
    #[error("{key}: {written:?} names no images: {source}")]
    Name {
        /// `trust.image` or `trust.org`.
        key: &'static str,
        /// As written.
        written: String,
        /// Why.
        source: ReferenceError,
    },
    /// A file of keys cannot be read.
    #[error("cannot read the key {}: {source}; give the path of a public key in PEM form", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a key, or not one that signatures can be checked with.
    #[error(
        "{origin} is no key to check signatures with: {reason}; \
         give a public key in PEM form, as `cosign generate-key-pair` writes to cosign.pub"
    )]
    Key {
        /// A file, or `trust.key`.
        origin: String,
        /// Why.
        reason: String,
    },
}

/// An image that must be signed, and is not as it must be.
#[derive(Debug, thiserror::Error)]
#[error("image {image} must be signed ({rule}): {doubt}")]
pub struct Untrusted {
    /// The image.
    pub image: String,
    /// What says that it must be.
    pub rule: String,
    /// What is wrong.
    pub doubt: Doubt,
}

/// What is wrong with the signatures of an image.
#[derive(Debug, thiserror::Error)]
pub enum Doubt {
    /// There is nothing to check signatures with.
    #[error("there is no key to check signatures with; give it with `--trust-key FILE`, or as `trust.key`")]
    NoKey,
    /// Nobody has signed it.
    #[error(
        "neither the cache nor its registry has a signature of {digest}; \
         sign it with `cosign sign --key KEY {name}@{digest}`, or take it out of `trust`"
    )]
    Unsigned {
        /// Registry and repository.
        name: String,
        /// What the image's name means.
        digest: Digest,
    },
    /// There are signatures, and none of them counts.
    #[error(
        "{}; give the key of who has signed it with `--trust-key FILE`, \
         or sign it with `cosign sign --key KEY {name}@{digest}`", told(.refusals)
    )]
    Refused {
        /// Registry and repository.
        name: String,
        /// What the image's name means.
        digest: Digest,
        /// Why not, each kind once.
        refusals: Vec<Refused>,
    },
    /// The cache cannot be read.
    #[error(transparent)]
    Cache(Box<ImageError>),
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody else has made it, or it was changed.
    #[error("a signature is by none of the keys that were given")]
    Key,
    /// It is about another image.
    #[error("a signature is for {0}, which is another image")]
    Digest(String),
    /// It is about an image of another name.
    #[error("a signature is for an image of another name, {0}")]
    Name(String),
    /// It cannot be read.
    #[error("a signature is malformed: {0}")]
    Malformed(String),
}

impl Refused {
    /// With a stranger's text, as far as it can be shown.
    pub(super) fn malformed(reason: impl std::fmt::Display) -> Self {
        Self::Malformed(shown(&reason.to_string()))
    }
}

/// A stranger's text in a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(150).collect()
}

fn told(refusals: &[Refused]) -> String {
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
