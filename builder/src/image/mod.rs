//! Images: their names, the cache that holds them, where they come from and go to, and what is verified before any of it
//! is used.

mod archive;
mod attestation;
mod blobs;
mod cache;
mod digest;
mod document;
pub mod engine;
mod enlist;
mod error;
mod export;
#[cfg(test)]
pub(crate) mod fixture;
mod healthcheck;
mod import;
mod index;
mod layer;
mod layout;
pub mod limits;
mod platforms;
mod reference;
pub mod registry;
mod removal;
mod segments;
mod signature;
#[cfg(test)]
mod tests;
mod verified;

use oci_spec::image::ImageConfiguration;

pub use archive::{ArchiveError, Entry, EntryKind, ReadAt, entries};
pub use attestation::SPDX;
pub use cache::{Cache, Listed};
pub use digest::{Digest, DigestError, Hashing};
pub use enlist::Unnamed;
pub use error::{Fault, ImageError};
pub use export::Exported;
pub use healthcheck::Healthcheck;
pub use import::Form;
pub use layout::Layout;
pub use reference::{Reference, ReferenceError};
pub use removal::Freed;
pub use signature::{BUNDLE, Signed, signatures_tag};
pub use verified::{Stretch, VerifiedFile, VerifyError};

/// One image for one architecture.
#[derive(Debug, Clone)]
pub struct Image {
    /// The name that it was found by.
    pub reference: Reference,
    /// What its name means in the cache: the digest of its manifest, or of an index that names its manifest.
    pub named: Digest,
    /// Digest of its manifest.
    pub digest: Digest,
    /// What it says about how to run it; verified.
    pub config: ImageConfiguration,
    /// Its HEALTHCHECK.
    pub healthcheck: Option<Healthcheck>,
    /// From the lowest to the highest.
    pub layers: Vec<Layer>,
}

/// A layer, as the manifest and the configuration name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Layer {
    /// Digest of the blob.
    pub blob: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
}
