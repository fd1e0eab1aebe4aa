//! The signatures of images, as they lie in a repository beside them: found in the cache, not judged.
//!
//! | tag | what | source |
//! |---|---|---|
//! | `sha256-HEX.sig` | a manifest whose layers are signed payloads | cosign, "Signature Specification" |
//! | `sha256-HEX` | an index of what refers to the digest, bundles among it | OCI distribution-spec, "Referrers Tag Schema" |

use std::collections::BTreeSet;

use oci_spec::image::{Descriptor, MediaType};

use super::document::{Documents, is_index, is_manifest};
use super::limits::MAX_ATTACHED;
use super::{Cache, Digest, ImageError, Reference, ReferenceError, index};

/// The type of a layer that is a signed payload (cosign, "Signature Specification").
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of such a layer that has the signature.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The type of a bundle and of the artifact that holds it, less its version (sigstore, `protobuf-specs`).
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.";

/// A signature, unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// A payload, and its signature in base64.
    Simple {
        /// What is signed.
        payload: Vec<u8>,
        /// In base64; empty if there is none.
        signature: String,
    },
    /// A bundle, which has both.
    Bundle(Vec<u8>),
}

/// What is attached to a digest, and under which tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attached {
    Signatures,
    Referrers,
}

/// The tag under which cosign keeps the signatures of what has this digest.
#[must_use]
pub fn signatures_tag(digest: Digest) -> String {
    format!("sha256-{}.sig", digest.hex())
}

/// The names of everything that may be attached to a digest in the repository of an image.
pub(super) fn attached(
    image: &Reference,
    digest: Digest,
) -> Result<[(Reference, Attached); 2], ReferenceError> {
    let referrers = format!("sha256-{}", digest.hex());
    Ok([
        (image.sibling(&signatures_tag(digest))?, Attached::Signatures),
        (image.sibling(&referrers)?, Attached::Referrers),
    ])
}

impl Cache {
    /// The signatures that the cache has for a digest in the repository of an image, at most [`MAX_ATTACHED`].
    ///
    /// # Errors
    /// When the index cannot be read, or what it names is damaged or malformed.
    pub fn signatures(&self, image: &Reference, digest: Digest) -> Result<Vec<Signed>, ImageError> {
        let Ok(names) = attached(image, digest) else { return Ok(Vec::new()) };
        let entries = index::load(&self.dirs)?;
        let mut found = Vec::new();
        for (name, attached) in names {
            let text = name.to_string();
            let documents = Documents { dirs: &self.dirs, image: &text };
            let named = entries.iter().filter(|entry| index::reference(entry).as_ref() == Some(&name));
            for entry in named {
                match attached {
                    Attached::Signatures => found.extend(simple(&documents, entry)?),
                    Attached::Referrers if is_index(entry.media_type()) => {
                        for child in documents.manifests(entry)?.iter().filter(|child| is_bundle(child)) {
                            found.extend(bundles(&documents, child)?);
                        }
                    }
                    Attached::Referrers => {}
                }
            }
        }
        found.truncate(MAX_ATTACHED);
        Ok(found)
    }
}

impl Cache {
    /// Takes out of `kept` the signatures of what these entries of a repository named and no other entry names.
    pub(super) fn drop_signatures(
        &self,
        reference: &Reference,
        removed: &[Descriptor],
        kept: &mut Vec<Descriptor>,
    ) {
        let signed = |entries: &[Descriptor]| -> BTreeSet<Reference> {
            let text = reference.to_string();
            let documents = Documents { dirs: &self.dirs, image: &text };
            // What cannot be read names nothing else.
            let children = entries.iter().flat_map(|entry| documents.manifests(entry).unwrap_or_default());
            let digests = entries.iter().cloned().chain(children);
            let digests = digests.filter_map(|entry| Digest::of_descriptor(entry.digest()).ok());
            let names = digests.filter_map(|digest| attached(reference, digest).ok());
            names.flatten().map(|(name, _)| name).collect()
        };
        let of_repository = |entry: &&Descriptor| {
            index::reference(entry).is_some_and(|other| other.name() == reference.name())
        };
        let others: Vec<Descriptor> = kept.iter().filter(of_repository).cloned().collect();
        let (gone, used) = (signed(removed), signed(&others));
        kept.retain(|entry| {
            index::reference(entry).is_none_or(|name| !gone.contains(&name) || used.contains(&name))
        });
    }
}

/// Whether what refers to an image is a bundle, by its descriptor.
pub(super) fn is_bundle(descriptor: &Descriptor) -> bool {
    is_manifest(descriptor.media_type())
        && descriptor.artifact_type().as_ref().is_some_and(|kind| kind.as_ref().starts_with(BUNDLE))
}

fn simple(documents: &Documents<'_>, entry: &Descriptor) -> Result<Vec<Signed>, ImageError> {
    let manifest = documents.manifest_alone(entry)?;
    let layers = manifest.layers().iter().filter(|layer| *layer.media_type() == MediaType::from(SIMPLE));
    layers
        .map(|layer| {
            let signature = layer.annotations().as_ref().and_then(|all| all.get(SIGNATURE)).cloned();
            Ok(Signed::Simple {
                payload: documents.bytes(layer, "signature")?,
                signature: signature.unwrap_or_default(),
            })
        })
        .collect()
}

fn bundles(documents: &Documents<'_>, child: &Descriptor) -> Result<Vec<Signed>, ImageError> {
    let manifest = documents.manifest_alone(child)?;
    let layers = manifest.layers().iter().filter(|layer| layer.media_type().as_ref().starts_with(BUNDLE));
    layers.map(|layer| Ok(Signed::Bundle(documents.bytes(layer, "signature")?))).collect()
}
