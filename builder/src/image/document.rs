//! Manifests, indexes and image configurations, verified and read from the cache.

use std::fs::File;
use std::io::{self, Read};

use oci_spec::image::{
    Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os, Platform,
};
use serde::de::DeserializeOwned;

use super::blobs::Directories;
use super::digest::Digest;
use super::error::Fault;
use super::healthcheck::{DockerConfiguration, Healthcheck};
use super::limits::{MAX_DOCUMENT, MAX_LAYER, MAX_LAYERS, MAX_MANIFESTS};
use super::platforms::is_image;
use super::{ImageError, Layer};

pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Reads the documents of one image.
pub(super) struct Documents<'a> {
    pub(super) dirs: &'a Directories,
    /// For error messages.
    pub(super) image: &'a str,
}

/// A manifest with the configuration that it names.
pub(super) struct Manifest {
    pub(super) descriptor: Descriptor,
    /// What led to it: itself, or an index.
    pub(super) named: Digest,
    pub(super) digest: Digest,
    pub(super) manifest: ImageManifest,
    pub(super) config: ImageConfiguration,
    pub(super) healthcheck: Option<Healthcheck>,
}

impl Documents<'_> {
    /// The manifests below an entry of the index: one, or as many as there are platforms.
    /// Those that an index names for other platforms need not be in the cache.
    pub(super) fn manifests(&self, top: &Descriptor) -> Result<Vec<Descriptor>, ImageError> {
        match top.media_type() {
            kind if is_index(kind) => {
                let index: ImageIndex = self.read(top, "index")?;
                if index.manifests().len() > MAX_MANIFESTS {
                    return Err(self.unusable(
                        "index",
                        top,
                        format!("it names more than {MAX_MANIFESTS} manifests"),
                    ));
                }
                Ok(index
                    .manifests()
                    .iter()
                    .filter(|child| is_manifest(child.media_type()))
                    .cloned()
                    .collect())
            }
            kind if is_manifest(kind) => Ok(vec![top.clone()]),
            other => {
                Err(self.unusable("manifest", top, format!("{other} is neither a manifest nor an index")))
            }
        }
    }

    /// The manifest for this architecture, if an entry of the index leads to one, else the platforms that it has.
    pub(super) fn select(
        &self,
        top: &Descriptor,
        arch: &Arch,
    ) -> Result<Result<Manifest, Vec<String>>, ImageError> {
        let mut found = Vec::new();
        for child in self.manifests(top)?.into_iter().filter(is_image) {
            if let Some(platform) = child.platform()
                && !is_for(platform, arch)
            {
                found.push(platform_name(platform.os(), platform.architecture()));
                continue;
            }
            let manifest = self.manifest(&child)?;
            let config = &manifest.config;
            if *config.os() == Os::Linux && config.architecture() == arch {
                return Ok(Ok(Manifest { named: self.digest(top, "manifest")?, ..manifest }));
            }
            found.push(platform_name(config.os(), config.architecture()));
        }
        Ok(Err(found))
    }

    pub(super) fn manifest_alone(&self, descriptor: &Descriptor) -> Result<ImageManifest, ImageError> {
        let manifest: ImageManifest = self.read(descriptor, "manifest")?;
        if manifest.layers().len() > MAX_LAYERS {
            return Err(self.unusable(
                "manifest",
                descriptor,
                format!("it has more than {MAX_LAYERS} layers"),
            ));
        }
        Ok(manifest)
    }

    pub(super) fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, ImageError> {
        let manifest = self.manifest_alone(descriptor)?;
        let config = self.read(manifest.config(), "configuration")?;
        let more: DockerConfiguration = self.read(manifest.config(), "configuration")?;
        let digest = self.digest(descriptor, "manifest")?;
        Ok(Manifest {
            descriptor: descriptor.clone(),
            named: digest,
            digest,
            manifest,
            config,
            healthcheck: more.healthcheck(),
        })
    }

    /// The layers, from the lowest to the highest.
    pub(super) fn layers(&self, manifest: &Manifest) -> Result<Vec<Layer>, ImageError> {
        let descriptors = manifest.manifest.layers();
        let diff_ids = manifest.config.rootfs().diff_ids();
        if descriptors.len() != diff_ids.len() {
            let reason =
                format!("it names {} layers, its manifest names {}", diff_ids.len(), descriptors.len());
            return Err(self.unusable("configuration", manifest.manifest.config(), reason));
        }
        descriptors
            .iter()
            .zip(diff_ids)
            .map(|(descriptor, diff_id)| {
                let kind = descriptor.media_type().as_ref();
                if !is_layer(kind) {
                    return Err(self.unusable("layer", descriptor, format!("{kind} is not a kind of layer")));
                }
                if descriptor.size() > MAX_LAYER {
                    let reason = format!("it has more than {MAX_LAYER} bytes");
                    return Err(self.unusable("layer", descriptor, reason));
                }
                let diff_id = diff_id
                    .parse()
                    .map_err(|error| ImageError::digest(self.image, "configuration", &error))?;
                Ok(Layer { blob: self.digest(descriptor, "layer")?, size: descriptor.size(), diff_id })
            })
            .collect()
    }

    pub(super) fn digest(&self, descriptor: &Descriptor, what: &'static str) -> Result<Digest, ImageError> {
        Digest::of_descriptor(descriptor.digest())
            .map_err(|error| ImageError::digest(self.image, what, &error))
    }

    fn read<T: DeserializeOwned>(
        &self,
        descriptor: &Descriptor,
        what: &'static str,
    ) -> Result<T, ImageError> {
        let bytes = self.bytes(descriptor, what)?;
        serde_json::from_slice(&bytes).map_err(|error| self.unusable(what, descriptor, error.to_string()))
    }

    /// The verified bytes of a document.
    pub(super) fn bytes(&self, descriptor: &Descriptor, what: &'static str) -> Result<Vec<u8>, ImageError> {
        let digest = self.digest(descriptor, what)?;
        let expected = descriptor.size();
        if expected > MAX_DOCUMENT {
            return Err(self.unusable(what, descriptor, format!("it has more than {MAX_DOCUMENT} bytes")));
        }
        let damaged = |fault| ImageError::Damaged { image: self.image.into(), what, digest, fault };
        let path = self.dirs.blob(digest);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged(Fault::Missing)),
            file => file.map_err(ImageError::io("read", &path))?,
        };
        let found = file.metadata().map_err(ImageError::io("read", &path))?.len();
        if found != expected {
            return Err(damaged(Fault::Size { found, expected }));
        }
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT).read_to_end(&mut bytes).map_err(ImageError::io("read", &path))?;
        match Digest::of(&bytes) {
            actual if actual == digest => Ok(bytes),
            actual => Err(damaged(Fault::Digest(actual))),
        }
    }

    fn unusable(&self, what: &'static str, descriptor: &Descriptor, reason: String) -> ImageError {
        ImageError::Document {
            image: self.image.into(),
            what,
            digest: descriptor.digest().to_string(),
            reason,
        }
    }
}

pub(super) fn is_for(platform: &Platform, arch: &Arch) -> bool {
    *platform.os() == Os::Linux && platform.architecture() == arch
}

pub(super) fn platform_name(os: &Os, arch: &Arch) -> String {
    format!("{os}/{arch}")
}

pub(super) fn is_index(kind: &MediaType) -> bool {
    *kind == MediaType::ImageIndex || kind.as_ref() == DOCKER_LIST
}

pub(super) fn is_manifest(kind: &MediaType) -> bool {
    *kind == MediaType::ImageManifest || kind.as_ref() == DOCKER_MANIFEST
}

/// OCI's and Docker's layer types; how it is compressed is seen from the bytes, and proved by the diff id.
pub(super) fn is_layer(kind: &str) -> bool {
    kind.starts_with("application/vnd.oci.image.layer.")
        || kind.starts_with("application/vnd.docker.image.rootfs.")
}
