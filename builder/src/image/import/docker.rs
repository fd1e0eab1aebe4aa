//! `docker save` archives: a list of images, each with a configuration and layer archives, but no OCI manifest.

use std::io::Read;

use oci_spec::image::{Descriptor, ImageConfiguration, MediaType};
use serde::Deserialize;

use super::super::layer::Compression;
use super::super::limits::{MAX_DOCUMENT, MAX_LAYER, MAX_LAYERS, MAX_MANIFESTS};
use super::super::{Digest, ImageError, Layer, VerifiedFile};
use super::{Content, Held, Import};

/// One image of `manifest.json` (Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl Import<'_> {
    /// The images that `manifest.json` names.
    pub(super) fn held_by_docker(&self) -> Result<Vec<Held>, ImageError> {
        let saved: Vec<Saved> = self.document("manifest.json")?;
        if saved.is_empty() || saved.len() > MAX_MANIFESTS {
            return Err(self.refuse("its manifest.json names no image, or too many"));
        }
        let held = |mut saved: Saved| {
            let names = saved.repo_tags.take().unwrap_or_default();
            Held { content: Content::Saved(saved), names }
        };
        Ok(saved.into_iter().map(held).collect())
    }

    /// Copies an image and makes the manifest that it lacks: the same for the same image.
    pub(super) fn copy_saved(&self, image: &Saved) -> Result<Descriptor, ImageError> {
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
            let diff_id: Digest =
                diff_id.parse().map_err(|error| self.refuse(&format!("{}: {error}", image.config)))?;
            layers.push(self.copy_layer(name, diff_id)?);
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

    /// Copies a layer. Docker's own are not compressed, those of other tools may be.
    fn copy_layer(&self, name: &str, diff_id: Digest) -> Result<Descriptor, ImageError> {
        let (mut content, len) =
            self.source.get(name)?.ok_or_else(|| self.refuse(&format!("layer {name} is missing")))?;
        if VerifiedFile::open(&self.cache.dirs.blob(diff_id), diff_id, Some(len)).is_ok() {
            return self.descriptor(MediaType::ImageLayer, diff_id, len);
        }
        let (digest, len) = self.cache.dirs.add_blob(&mut content, MAX_LAYER)?;
        if digest == diff_id {
            return self.descriptor(MediaType::ImageLayer, digest, len);
        }
        let layer = Layer { blob: digest, size: len, diff_id };
        self.cache
            .layer_named(&self.path.display().to_string(), &layer)
            .map_err(|error| self.refuse(&format!("layer {name}: {error}")))?;
        let kind = match self.compression(name)? {
            Compression::None => MediaType::ImageLayer,
            Compression::Gzip => MediaType::ImageLayerGzip,
            Compression::Zstd => MediaType::ImageLayerZstd,
        };
        self.descriptor(kind, digest, len)
    }

    fn compression(&self, name: &str) -> Result<Compression, ImageError> {
        let mut start = Vec::new();
        if let Some((content, _)) = self.source.get(name)? {
            content.take(4).read_to_end(&mut start).map_err(ImageError::io("read", self.path))?;
        }
        Ok(Compression::of(&start))
    }

    fn descriptor(&self, kind: MediaType, digest: Digest, len: u64) -> Result<Descriptor, ImageError> {
        let digest: oci_spec::image::Digest =
            digest.to_string().parse().map_err(|error| self.refuse(&format!("{digest}: {error}")))?;
        Ok(Descriptor::new(kind, len, digest))
    }
}
