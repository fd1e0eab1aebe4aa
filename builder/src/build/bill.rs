//! The bill of materials of a machine: what all of its images hold.

use std::sync::Arc;

use crate::config::Config;
use crate::sbom;
use crate::tree::{Location, Node, Origin, Tree, TreeError, clean};

use super::images::Images;
use super::{BuildError, origin, would_lose};

/// Writes it into the machine.
pub(super) fn add(
    root: &mut Tree,
    config: &Config,
    images: &Images<'_>,
    options: &sbom::Options,
) -> Result<(), BuildError> {
    let own = Arc::new(Origin { location: Location::Sbom, source: options.path.clone() });
    let failed = |source| BuildError::Tree { origin: own.to_string(), source };
    let path = clean(options.path.trim_start_matches('/').as_bytes())
        .map_err(|error| failed(TreeError::Path(error)))?;
    let at = root.resolve_parent(&path).map_err(failed)?;
    let mut contained = Vec::new();
    for image_use in config.images() {
        let image = images.get(image_use);
        contained.push(sbom::contained(images.cache(), image, || {
            images.unpack(image, &origin(Location::Sbom, image))
        })?);
    }
    let bytes = sbom::document(&contained, options.created)?;
    let node = Node::file(bytes, 0o644, &own);
    if would_lose(root, &at, &node) {
        let from = root.get(&at).map(|node| node.origin.to_string()).unwrap_or_default();
        return Err(failed(TreeError::Occupied { path: at, from, by: own.to_string() }));
    }
    root.insert(&at, node).map_err(failed)?;
    Ok(())
}
