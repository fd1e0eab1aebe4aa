//! An image for one platform beside those of the same name for others.

use std::path::Path;

use oci_spec::image::{Descriptor, MediaType, PlatformBuilder};

use super::blobs::Lock;
use super::document::Documents;
use super::import::only_image;
use super::{Cache, Image, ImageError, Reference, index, platforms};

/// An image whose blobs are in the cache and that has no name yet. What it consists of stays for as long as this lives.
#[derive(Debug)]
pub struct Unnamed<'a> {
    cache: &'a Cache,
    descriptor: Descriptor,
    image: Image,
    _adding: Lock,
}

impl Cache {
    /// Copies the only image of an OCI layout or of an archive into the cache, without a name. `reference` is the name that
    /// it will have.
    ///
    /// # Errors
    /// As [`Self::import`], when there is not exactly one image, and when it is for another architecture than `arch`.
    pub fn import_unnamed(
        &self,
        path: &Path,
        reference: &Reference,
        arch: &str,
    ) -> Result<Unnamed<'_>, ImageError> {
        let adding = self.dirs.lock_adding()?;
        let top = only_image(self, path)?;
        let image = reference.to_string();
        let documents = Documents { dirs: &self.dirs, image: &image };
        let manifest = documents.select(&top, &arch.into())?.map_err(|found| ImageError::Platform {
            image: image.clone(),
            wanted: arch.into(),
            found: found.join(", "),
        })?;
        let mut descriptor = manifest.descriptor.clone();
        let config = &manifest.config;
        let platform =
            PlatformBuilder::default().os(config.os().clone()).architecture(config.architecture().clone());
        descriptor.set_platform(platform.build().ok());
        descriptor.set_annotations(None);
        let layers = documents.layers(&manifest)?;
        let image = Image {
            reference: reference.clone(),
            named: manifest.digest,
            digest: manifest.digest,
            config: manifest.config,
            healthcheck: manifest.healthcheck,
            layers,
        };
        Ok(Unnamed { cache: self, descriptor, image, _adding: adding })
    }
}

impl Unnamed<'_> {
    /// The image.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Gives it its name, which goes on to mean the images for other platforms that it means until now. `statements` are
    /// in-toto statements about it, each with the type of its predicate.
    ///
    /// # Errors
    /// When the cache cannot be changed: then the name means what it did.
    pub fn name(self, statements: &[(&str, Vec<u8>)]) -> Result<(), ImageError> {
        let dirs = &self.cache.dirs;
        let mut here = vec![self.descriptor];
        for (predicate, statement) in statements {
            here.push(super::attestation::store(dirs, self.image.digest, predicate, statement)?);
        }
        let reference = &self.image.reference;
        let name = reference.to_string();
        let documents = Documents { dirs, image: &name };
        let _lock = dirs.lock_index()?;
        let mut entries = index::load(dirs)?;
        let mut there = Vec::new();
        for entry in entries.iter().filter(|entry| index::reference(entry).as_ref() == Some(reference)) {
            for mut child in documents.manifests(entry)? {
                if child.platform().is_none() {
                    let manifest = documents.manifest(&child)?;
                    let platform = PlatformBuilder::default()
                        .os(manifest.config.os().clone())
                        .architecture(manifest.config.architecture().clone());
                    child.set_platform(platform.build().ok());
                    child.set_annotations(None);
                }
                there.push(child);
            }
        }
        let images = platforms::merged(&there, &here);
        let top = match images.as_slice() {
            [alone] => alone.clone(),
            _ => dirs.add_document(MediaType::ImageIndex, &platforms::index_of(&images))?,
        };
        entries.retain(|entry| index::reference(entry).as_ref() != Some(reference));
        entries.push(index::named(&top, reference));
        index::store(dirs, entries)
    }
}
