//! Why an image cannot be pulled.

use std::path::PathBuf;

use super::keychain::KeychainError;
use super::session::Purpose;
use super::url::UrlError;
use crate::image::{Digest, ImageError, ReferenceError};

/// Why an image cannot be pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Nobody who was asked gave it.
    #[error("cannot pull {image}: {}", told(.refusals))]
    Refused {
        /// The image.
        image: String,
        /// Who was asked, in this order, and why that did not help.
        refusals: Vec<Refusal>,
    },
    /// What came cannot be put into the cache.
    #[error("cannot pull {image}: {source}")]
    Cache {
        /// The image.
        image: String,
        /// Why.
        source: Box<ImageError>,
    },
    /// The name of its registry is no address.
    #[error("cannot pull {image}: the registry has no address: {source}")]
    Registry {
        /// The image.
        image: String,
        /// Why.
        source: UrlError,
    },
    /// Its signatures have no name.
    #[error("cannot pull the signatures of {image}: {source}")]
    Name {
        /// The image.
        image: String,
        /// Why.
        source: ReferenceError,
    },
    /// Certificates cannot be read.
    #[error("cannot read certificates from {}: {reason}; --cert-file takes a file of certificates in PEM form", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Why an image cannot be pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry does not take it.
    #[error("cannot push {image}: {refusal}")]
    Refused {
        /// What it should be called there.
        image: String,
        /// Who refused it, and why.
        refusal: Box<Refusal>,
    },
    /// It has no tag there.
    #[error(
        "cannot push {0}: a digest is no name for it in a registry; give one with --remote-name NAME:TAG"
    )]
    NoTag(String),
    /// The cache does not have it.
    #[error("cannot push {image}: {source}")]
    Cache {
        /// What it should be called there.
        image: String,
        /// Why.
        source: Box<ImageError>,
    },
    /// Nobody can be asked.
    #[error(transparent)]
    Client(#[from] PullError),
}

/// What one registry or mirror answered.
#[derive(Debug, thiserror::Error)]
#[error("{whom} {why}")]
pub struct Refusal {
    /// Its address.
    pub whom: String,
    /// Why it did not help.
    pub why: Reason,
}

/// Why a registry or a mirror does not give an image.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// It does not answer.
    #[error("cannot be reached: {0}; check the network, or name a mirror with --mirror [REGISTRY=]URL")]
    Unreachable(String),
    /// Its certificate is not trusted.
    #[error(
        "shows a certificate that is not trusted: {0}; give its authority's certificate with --cert-file PEM"
    )]
    Untrusted(String),
    /// It does not know the image.
    #[error("has no such image; check its name and tag")]
    NotFound,
    /// It wants to know who asks.
    #[error(
        "has no such image, or gives it only after a login, and {config} has none for {host}: \
         check the name, or run `docker login {host}`"
    )]
    Login {
        /// The host whose login is missing.
        host: String,
        /// Where it was looked for.
        config: String,
    },
    /// It knows who asks, and does not give it.
    #[error(
        "does not accept the login for {host} of {config}, or it may not {purpose} this image; run `docker login {host}` again"
    )]
    Denied {
        /// The host.
        host: String,
        /// Where the login is from.
        config: String,
        /// What it was for.
        purpose: Purpose,
    },
    /// It takes nothing from strangers.
    #[error("takes images only after a login, and {config} has none for {host}; run `docker login {host}`")]
    Closed {
        /// The host whose login is missing.
        host: String,
        /// Where it was looked for.
        config: String,
    },
    /// It breaks off uploads.
    #[error("stops in the middle of taking {digest}, after {sent} of {size} bytes: {reason}")]
    Unsent {
        /// What was being sent.
        digest: Digest,
        /// Bytes that it has taken.
        sent: u64,
        /// Bytes that there are.
        size: u64,
        /// Why.
        reason: String,
    },
    /// What it says about an upload makes no sense.
    #[error("does not say how {digest} is to be sent: {reason}")]
    Upload {
        /// What was being sent.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// The login cannot be looked up.
    #[error("may want a login, and that cannot be looked up: {0}")]
    Keychain(Box<KeychainError>),
    /// It has had too many questions.
    #[error(
        "answers that there were too many requests (HTTP 429){0}; wait, log in with `docker login`, or name a mirror with --mirror"
    )]
    Busy(String),
    /// Another answer that is none.
    #[error("answers HTTP {status}{message}")]
    Status {
        /// The status.
        status: u16,
        /// What it says, with a colon before it, if anything.
        message: String,
    },
    /// The way to authenticate that it proposes is none.
    #[error("wants a login in a way that is not possible: {0}")]
    Challenge(String),
    /// It sends us somewhere where we do not go.
    #[error("sends us elsewhere, and that is refused: {0}")]
    Redirect(String),
    /// Docker's schema 1.
    #[error(
        "has this image in Docker's schema 1 only, which has no digests to verify; push it again with a current Docker, \
         or convert it with `skopeo copy --format oci`"
    )]
    Schema1,
    /// An index names what is not there.
    #[error(
        "has an index that names {digest} for {platform}, and does not have that; push that platform again, or delete the tag \
         there"
    )]
    Gone {
        /// The manifest.
        digest: String,
        /// What it is for.
        platform: String,
    },
    /// There is nothing to make an index of.
    #[error("has no image by a tag {tag}-ARCH, such as {tag}-amd64; push one with `lkb pkg push`")]
    NoParts {
        /// The tag of the index.
        tag: String,
    },
    /// Others go on writing another index.
    #[error(
        "has another index by the tag {tag} each time that it is looked at, {rounds} times; try again when nobody else pushes it"
    )]
    Unsettled {
        /// The tag of the index.
        tag: String,
        /// How often it was written.
        rounds: u32,
    },
    /// A document cannot be used.
    #[error("gives a {what} that cannot be used: {reason}")]
    Document {
        /// `manifest`, `index`, `configuration`, `layer`.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// It has the image for others.
    #[error("has this image for {found}, not for linux/{wanted}")]
    Platform {
        /// Architecture asked for.
        wanted: String,
        /// Platforms that it has.
        found: String,
    },
    /// What came is not what was asked for.
    #[error("gives a {what} that is not {digest}: its content has digest {actual}; it is not kept")]
    Digest {
        /// `manifest`, `configuration`, `layer`.
        what: &'static str,
        /// What was asked for.
        digest: Digest,
        /// What came.
        actual: Digest,
    },
    /// Too much or too little came.
    #[error("gives a {what} {digest} of {found} bytes instead of {expected}; it is not kept")]
    Size {
        /// `manifest`, `configuration`, `layer`.
        what: &'static str,
        /// What was asked for.
        digest: Digest,
        /// Bytes that came or were announced; more than expected may be more than this.
        found: u64,
        /// Bytes that the manifest says.
        expected: u64,
    },
    /// It stops again and again.
    #[error("stops in the middle of {what} {digest}, after {received} of {expected} bytes: {reason}")]
    Interrupted {
        /// `layer`, `configuration`, …
        what: &'static str,
        /// What was asked for.
        digest: Digest,
        /// Bytes that came.
        received: u64,
        /// Bytes there should be.
        expected: u64,
        /// Why.
        reason: String,
    },
    /// Another layer has failed; told there.
    #[error("was not asked further")]
    Abandoned,
    /// The cache cannot take it.
    #[error("gives it, but {0}")]
    Cache(Box<ImageError>),
}

impl From<KeychainError> for Reason {
    fn from(error: KeychainError) -> Self {
        Self::Keychain(Box::new(error))
    }
}

impl From<ImageError> for Reason {
    fn from(error: ImageError) -> Self {
        Self::Cache(Box::new(error))
    }
}

impl PullError {
    /// Whether everybody who was asked said that there is no such image.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Refused { refusals, .. }
            if refusals.iter().all(|refusal| matches!(refusal.why, Reason::NotFound | Reason::Login { .. })))
    }
}

fn told(refusals: &[Refusal]) -> String {
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}
