//! The files of an image of the cache, as a container has them.

use std::sync::Arc;

use super::Listing;
use crate::image::{Cache, ImageError, Reference};
use crate::tree::{LayerError, Origin, Tree};

/// The volume that has what an image says beside its files.
const BESIDE: &str = "image";

/// Why an image cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ImageListingError {
    /// It is not in the cache, or damaged there.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A layer cannot be applied.
    #[error("{image}: {source}")]
    Layer {
        /// The image.
        image: String,
        /// Why.
        source: Box<LayerError>,
    },
    /// What it says about how to run it cannot be told.
    #[error("{image}: its configuration cannot be written: {source}")]
    Config {
        /// The image.
        image: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// Lists an image for one architecture, in Go's words: the files of its layers, and beside them its configuration.
///
/// # Errors
/// When it is not in the cache for this architecture, is damaged, or cannot be unpacked.
pub fn list_image(cache: &Cache, reference: &Reference, arch: &str) -> Result<Listing, ImageListingError> {
    let name = reference.to_string();
    let found = cache.resolve(reference, arch)?;
    let image = found.ok_or_else(|| ImageError::Absent { image: name.clone() })?;
    cache.verify([&image])?;
    let origin = Arc::new(Origin { source: name.clone(), ..Origin::default() });
    let mut tree = Tree::new();
    for layer in &image.layers {
        let file = cache.layer(&image, layer)?;
        let applied = tree.apply(&file, 0, file.len(), &origin);
        applied
            .map_err(|source| ImageListingError::Layer { image: name.clone(), source: Box::new(source) })?;
    }
    let mut listing = Listing::of_tree(&name, &tree);
    let config = serde_json::to_vec_pretty(&image.config)
        .map_err(|source| ImageListingError::Config { image: name.clone(), source })?;
    listing.add_beside(BESIDE, "config.json", config);
    Ok(listing)
}
