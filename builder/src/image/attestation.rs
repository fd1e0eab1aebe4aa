//! What whoever has built an image attests about it, where the cache has that: statements beside the image in its index
//! (BuildKit, "Image attestation storage").

use oci_spec::image::{Descriptor, MediaType, PlatformBuilder};
use serde_json::json;

use super::blobs::Directories;
use super::document::Documents;
use super::limits::MAX_ATTACHED;
use super::platforms::ABOUT;
use super::{Cache, Digest, Image, ImageError, index};

/// The annotation of an index's entry that says in which way it is about another one.
const KIND: &str = "vnd.docker.reference.type";
const ATTESTATION: &str = "attestation-manifest";
/// The annotation of a layer that says what its statement is, and what an SPDX document is called there.
const PREDICATE: &str = "in-toto.io/predicate-type";
/// The type of a statement whose predicate is an SPDX document (in-toto attestation predicates, "SPDX").
pub const SPDX: &str = "https://spdx.dev/Document";
/// The media type of a statement.
const STATEMENT: &str = "application/vnd.in-toto+json";

impl Cache {
    /// The statements about an image that have an SPDX document, as they are; those that are not in the cache, as
    /// registries are not asked for them, are passed over.
    ///
    /// # Errors
    /// When the cache's index cannot be read.
    pub fn attestations(&self, image: &Image) -> Result<Vec<Vec<u8>>, ImageError> {
        let name = image.reference.to_string();
        let documents = Documents { dirs: &self.dirs, image: &name };
        let mut statements = Vec::new();
        // An image that its name means itself has nothing beside it.
        let entries = match image.named == image.digest {
            true => Vec::new(),
            false => index::load(&self.dirs)?,
        };
        let is_named = |digest: &oci_spec::image::Digest| digest.as_ref() == image.named.to_string();
        let Some(entry) = entries.iter().find(|entry| is_named(entry.digest())) else {
            return Ok(statements);
        };
        for child in documents.manifests(entry)? {
            let annotation = |key| child.annotations().as_ref().and_then(|all| all.get(key)).cloned();
            if annotation(KIND).as_deref() != Some(ATTESTATION)
                || annotation(ABOUT) != Some(image.digest.to_string())
            {
                continue;
            }
            let Ok(manifest) = documents.manifest_alone(&child) else { continue };
            for layer in manifest.layers() {
                let annotations = layer.annotations().as_ref();
                if annotations.and_then(|all| all.get(PREDICATE)).is_some_and(|kind| kind == SPDX)
                    && statements.len() < MAX_ATTACHED
                    && let Ok(statement) = documents.bytes(layer, "attestation")
                {
                    statements.push(statement);
                }
            }
        }
        Ok(statements)
    }
}

/// Puts a statement about the image `subject` into the cache, as an index's entry for it. The caller holds the lock for
/// adding.
pub(super) fn store(
    dirs: &Directories,
    subject: Digest,
    predicate: &str,
    statement: &[u8],
) -> Result<Descriptor, ImageError> {
    let layer = dirs.add_document(MediaType::Other(STATEMENT.into()), statement)?;
    // It is no image that could run, and says so wherever one says for what it is.
    let config = json!({
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest()]},
    });
    let config = dirs.add_document(MediaType::ImageConfig, config.to_string().as_bytes())?;
    let mut layer = layer;
    layer.set_annotations(Some([(PREDICATE.to_owned(), predicate.to_owned())].into()));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::ImageManifest, "config": config, "layers": [layer],
    });
    let mut descriptor = dirs.add_document(MediaType::ImageManifest, manifest.to_string().as_bytes())?;
    let annotations = [(KIND, ATTESTATION.to_owned()), (ABOUT, subject.to_string())];
    descriptor.set_annotations(Some(annotations.map(|(key, value)| (key.to_owned(), value)).into()));
    let platform = PlatformBuilder::default().os("unknown").architecture("unknown").build();
    descriptor.set_platform(platform.ok());
    Ok(descriptor)
}
