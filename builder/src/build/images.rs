//! The images that a configuration names: found, verified, unpacked.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Config, ImageUse};
use crate::image::{Cache, Image, Reference};
use crate::tree::{Content, Node, Origin, Tree};
use crate::trust::{Policy, Subject};

use super::{BuildError, MissingImage};

/// Every image of the configuration, by its reference as written.
pub(super) struct Images<'a> {
    cache: &'a Cache,
    arch: &'a str,
    trust: &'a Policy,
    found: BTreeMap<&'a str, Image>,
}

impl<'a> Images<'a> {
    /// Looks all images up, checks the signatures of those that must have one, and verifies all layers.
    pub(super) fn find(
        config: &'a Config,
        cache: &'a Cache,
        arch: &'a str,
        trust: &'a Policy,
    ) -> Result<Self, BuildError> {
        let mut found = BTreeMap::new();
        let mut missing: Vec<MissingImage> = Vec::new();
        for image_use in config.images() {
            let spot = &image_use.spot;
            if found.contains_key(image_use.reference.as_str()) {
                continue;
            }
            let reference: Reference = image_use
                .reference
                .parse()
                .map_err(|source| BuildError::Reference { spot: spot.clone(), source })?;
            match cache.resolve(&reference, arch) {
                Err(source) => return Err(BuildError::Image { spot: spot.clone(), source: source.into() }),
                Ok(Some(image)) => {
                    let digests = [image.named, image.digest];
                    trust
                        .check(cache, Subject { reference: &image.reference, digests })
                        .map_err(|source| BuildError::Untrusted { spot: spot.clone(), source })?;
                    found.insert(image_use.reference.as_str(), image);
                }
                Ok(None) => {
                    let image = reference.to_string();
                    if !missing.iter().any(|other| other.image == image) {
                        missing.push(MissingImage { image, spot: spot.clone() });
                    }
                }
            }
        }
        if !missing.is_empty() {
            return Err(BuildError::Missing(missing));
        }
        cache.verify(found.values()).map_err(|source| BuildError::Verify(source.into()))?;
        Ok(Self { cache, arch, trust, found })
    }

    /// Where they are.
    pub(super) fn cache(&self) -> &'a Cache {
        self.cache
    }

    /// The image of a use. [`Self::find`] has found those of all uses.
    pub(super) fn get(&self, image_use: &ImageUse) -> &Image {
        &self.found[image_use.reference.as_str()]
    }

    /// All layers of an image, one over the other.
    pub(super) fn unpack(&self, image: &Image, origin: &Arc<Origin>) -> Result<Tree, BuildError> {
        let mut tree = Tree::new();
        for layer in &image.layers {
            let file = self.cache.layer(image, layer).map_err(|source| BuildError::Verify(source.into()))?;
            tree.apply(&file, 0, file.len(), origin).map_err(|source| BuildError::Layer {
                image: image.reference.to_string(),
                layer: layer.blob,
                source: source.into(),
            })?;
        }
        Ok(tree)
    }

    /// An image as an OCI layout, of these platforms (`linux/amd64`), or the machine's.
    pub(super) fn layout(
        &self,
        image_use: &ImageUse,
        platforms: &[String],
        origin: &Arc<Origin>,
    ) -> Result<Tree, BuildError> {
        let reference = &self.get(image_use).reference;
        let own = [format!("linux/{}", self.arch)];
        let platforms = if platforms.is_empty() { &own[..] } else { platforms };
        let layout = self
            .cache
            .layout(reference, platforms)
            .map_err(|source| BuildError::Image { spot: image_use.spot.clone(), source: source.into() })?;
        // These platforms may come from other entries of the cache than the machine's.
        for digests in layout.images {
            self.trust
                .check(self.cache, Subject { reference, digests })
                .map_err(|source| BuildError::Untrusted { spot: image_use.spot.clone(), source })?;
        }
        let mut tree = Tree::new();
        let failed = |source| BuildError::Tree { origin: origin.to_string(), source };
        for (path, document) in layout.documents {
            insert(&mut tree, &path, document.into(), origin).map_err(failed)?;
        }
        for blob in layout.blobs {
            let path = format!("blobs/sha256/{}", blob.digest().hex());
            let len = blob.len();
            insert(&mut tree, &path, Content::Stretch { file: blob, offset: 0, len }, origin)
                .map_err(failed)?;
        }
        Ok(tree)
    }
}

fn insert(
    tree: &mut Tree,
    path: &str,
    content: Content,
    origin: &Arc<Origin>,
) -> Result<(), crate::tree::TreeError> {
    let mut node = Node::file(content, 0o644, origin);
    // As LinuxKit has it.
    node.mtime = 0;
    tree.insert(path.as_bytes(), node).map(drop)
}
