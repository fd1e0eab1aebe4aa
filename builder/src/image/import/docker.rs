//! `docker save` archives: a list of images, each with a configuration and layer archives, but no OCI manifest.

use oci_spec::image::{Descriptor, ImageConfiguration, MediaType};
use serde::Deserialize;

use super::super::limits::{MAX_DOCUMENT, MAX_LAYER, MAX_LAYERS, MAX_MANIFESTS};
use super::{Digest, Found, ImageError, Import};

/// One image of `manifest.json` (Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset").
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl Import<'_> {
    /// Copies the images and makes the manifests that they lack.
    pub(super) fn docker(&self) -> Result<Vec<Found>, ImageError> {
        let saved: Vec<Saved> = self.document("manifest.json")?;
        if saved.is_empty() || saved.len() > MAX_MANIFESTS {
            return Err(self.refuse("its manifest.json names no image, or too many"));
        }
        let mut found = Vec::new();
        for image in saved {
            let descriptor = self.docker_image(&image)?;
            let tags = image.repo_tags.unwrap_or_default();
            if tags.is_empty() {
                found.push(Found { descriptor, name: None });
                continue;
            }
            found.extend(
                tags.into_iter().map(|tag| Found { descriptor: descriptor.clone(), name: Some(tag) }),
            );
        }
        Ok(found)
    }

    fn docker_image(&self, image: &Saved) -> Result<Descriptor, ImageError> {
        let config_bytes = self.bytes(&image.config)?;
        let config: ImageConfiguration = serde_json::from_slice(&config_bytes)
            .map_err(|error| self.refuse(&format!("{}: {error}", image.config)))?;
        let names = image.layers.as_deref().unwrap_or_default();
        let diff_ids = config.rootfs().diff_ids();
        if names.len() != diff_ids.len() || names.len() > MAX_LAYERS {
            return Err(self.refuse(&format!(
                "{} names {} layers, manifest.json names {} (at most {MAX_LAYERS})",
                image.config,
                diff_ids.len(),
                names.len()
            )));
        }
        let mut layers = Vec::new();
        for (name, diff_id) in names.iter().zip(diff_ids) {
            let (mut content, _) =
                self.source.get(name)?.ok_or_else(|| self.refuse(&format!("layer {name} is missing")))?;
            let (digest, len) = self.cache.dirs.add_blob(&mut content, MAX_LAYER)?;
            // Layers are stored uncompressed here, so the digest is the diff id.
            if digest.to_string() != *diff_id {
                return Err(self
                    .refuse(&format!("layer {name} has digest {digest}, its configuration says {diff_id}")));
            }
            layers.push(self.descriptor(MediaType::ImageLayer, digest, len)?);
        }
        let (digest, len) = self.cache.dirs.add_blob(&mut config_bytes.as_slice(), MAX_DOCUMENT)?;
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MediaType::ImageManifest,
            "config": self.descriptor(MediaType::ImageConfig, digest, len)?,
            "layers": layers,
        });
        let manifest = manifest.to_string();
        let (digest, len) = self.cache.dirs.add_blob(&mut manifest.as_bytes(), MAX_DOCUMENT)?;
        self.descriptor(MediaType::ImageManifest, digest, len)
    }

    fn descriptor(&self, kind: MediaType, digest: Digest, len: u64) -> Result<Descriptor, ImageError> {
        let digest: oci_spec::image::Digest =
            digest.to_string().parse().map_err(|error| self.refuse(&format!("{digest}: {error}")))?;
        Ok(Descriptor::new(kind, len, digest))
    }
}
