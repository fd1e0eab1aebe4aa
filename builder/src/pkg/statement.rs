//! Which software an image has, as a statement that goes wherever the image goes (in-toto attestation framework, Statement
//! v0.1, as BuildKit attaches it).

use std::sync::Arc;

use serde_json::{Value, json};

use super::PkgError;
use crate::image::{Cache, Image, SPDX};
use crate::sbom::{self, SbomError};
use crate::tree::{GENERATED_MTIME, Origin, Tree};

const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";

/// Lists what is in an image, and states it: the type of the predicate, and the statement.
///
/// # Errors
/// When a layer or a database of packages in it cannot be read.
pub fn of(cache: &Cache, image: &Image, arch: &str) -> Result<(&'static str, Vec<u8>), PkgError> {
    let failed = |reason: String| PkgError::Contents { package: image.reference.to_string(), reason };
    let contained = sbom::contained(cache, image, || unpack(cache, image));
    let contained = contained.map_err(|error| failed(error.to_string()))?;
    // The same image is stated to be the same on every machine.
    let document =
        sbom::document(&[contained], GENERATED_MTIME).map_err(|error| failed(error.to_string()))?;
    let document: Value = serde_json::from_slice(&document).map_err(|error| failed(error.to_string()))?;
    let tag = image.reference.tag().unwrap_or_default();
    let name = format!("pkg:docker/{}@{tag}?platform=linux%2F{arch}", image.reference.name());
    let statement = json!({
        "_type": STATEMENT,
        "predicateType": SPDX,
        "subject": [{"name": name, "digest": {"sha256": image.digest.hex()}}],
        "predicate": document,
    });
    Ok((SPDX, statement.to_string().into_bytes()))
}

/// All layers of an image, one over the other.
fn unpack(cache: &Cache, image: &Image) -> Result<Tree, Unreadable> {
    let origin = Arc::new(Origin { source: image.reference.to_string(), ..Origin::default() });
    let mut tree = Tree::new();
    for layer in &image.layers {
        let file = cache.layer(image, layer).map_err(|error| Unreadable(error.to_string()))?;
        let applied = tree.apply(&file, 0, file.len(), &origin);
        applied.map_err(|error| Unreadable(format!("layer {}: {error}", layer.blob)))?;
    }
    Ok(tree)
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreadable(String);

impl From<SbomError> for Unreadable {
    fn from(error: SbomError) -> Self {
        Self(error.to_string())
    }
}
