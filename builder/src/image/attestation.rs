//! What whoever has built an image attests about it, where the cache has that: statements beside the image in its index
//! (BuildKit, "Image attestation storage").

use super::document::Documents;
use super::limits::MAX_ATTACHED;
use super::{Cache, Image, ImageError, index};

/// The annotations of an index's entry that say that it is about another one, and about which.
const KIND: &str = "vnd.docker.reference.type";
const SUBJECT: &str = "vnd.docker.reference.digest";
const ATTESTATION: &str = "attestation-manifest";
/// The annotation of a layer that says what its statement is, and what an SPDX document is called there.
const PREDICATE: &str = "in-toto.io/predicate-type";
const SPDX: &str = "https://spdx.dev/Document";

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
                || annotation(SUBJECT) != Some(image.digest.to_string())
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
