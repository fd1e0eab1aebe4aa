//! Images written out again as an OCI image layout, for volumes of format `oci`.

use std::sync::Arc;

use oci_spec::image::{MediaType, PlatformBuilder};
use serde_json::{Value, json};

use super::document::Documents;
use super::{Cache, Digest, ImageError, Layer, Reference, VerifiedFile, index};

/// The files of a layout.
#[derive(Debug)]
pub struct Layout {
    /// `oci-layout`, `index.json`, and the index of manifests if there are several: path and text.
    pub documents: Vec<(String, Vec<u8>)>,
    /// Blobs of the cache: manifests, configurations, layers as they are.
    pub blobs: Vec<Arc<VerifiedFile>>,
    /// For each platform, what the name means there and the manifest that it leads to.
    pub images: Vec<[Digest; 2]>,
}

impl Cache {
    /// One image for these platforms (`linux/amd64`), with nothing in it that names other platforms.
    ///
    /// # Errors
    /// When the image is not in the cache for one of the platforms, or a blob is missing or damaged.
    pub fn layout(&self, reference: &Reference, platforms: &[String]) -> Result<Layout, ImageError> {
        self.layout_called(reference, platforms, json!({index::REF_NAME: reference.to_string()}))
    }

    /// As [`Self::layout`], with these annotations at the image's name.
    pub(super) fn layout_called(
        &self,
        reference: &Reference,
        platforms: &[String],
        annotations: Value,
    ) -> Result<Layout, ImageError> {
        let image = reference.to_string();
        let mut blobs = Vec::new();
        let mut manifests = Vec::new();
        let mut images = Vec::new();
        for platform in platforms {
            // Architectures may have a variant after a second slash: the architecture decides here.
            let name = platform.strip_prefix("linux/").unwrap_or(platform);
            let name = name.split('/').next().unwrap_or(name);
            let manifest =
                self.find(reference, name)?.ok_or_else(|| ImageError::Absent { image: image.clone() })?;
            images.push([manifest.named, manifest.digest]);
            for descriptor in [&manifest.descriptor, manifest.manifest.config()]
                .into_iter()
                .chain(manifest.manifest.layers())
            {
                let documents = Documents { dirs: &self.dirs, image: &image };
                let digest = documents.digest(descriptor, "layer")?;
                blobs.push(self.blob(&image, digest, descriptor.size())?);
            }
            let platform = PlatformBuilder::default()
                .os(manifest.config.os().clone())
                .architecture(manifest.config.architecture().clone())
                .build()
                .map_err(|error| ImageError::Document {
                    image: image.clone(),
                    what: "configuration",
                    digest: manifest.digest.to_string(),
                    reason: error.to_string(),
                })?;
            let mut named = manifest.descriptor.clone();
            named.set_annotations(None);
            named.set_platform(Some(platform));
            if !manifests.contains(&named) {
                manifests.push(named);
            }
        }
        blobs.sort_by_key(|blob| blob.digest());
        blobs.dedup_by_key(|blob| blob.digest());
        let mut documents = vec![("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
        let mut top = match manifests.as_slice() {
            [one] => json!(one),
            several => {
                let index =
                    json!({"schemaVersion": 2, "mediaType": MediaType::ImageIndex, "manifests": several});
                let index = index.to_string().into_bytes();
                let digest = Digest::of(&index);
                let top = json!({"mediaType": MediaType::ImageIndex, "digest": digest.to_string(), "size": index.len()});
                documents.push((format!("blobs/sha256/{}", digest.hex()), index));
                top
            }
        };
        top["annotations"] = annotations;
        let index = json!({"schemaVersion": 2, "mediaType": MediaType::ImageIndex, "manifests": [top]});
        documents.push(("index.json".into(), index.to_string().into_bytes()));
        Ok(Layout { documents, blobs, images })
    }

    /// One blob, as it is.
    pub(super) fn blob(
        &self,
        image: &str,
        digest: Digest,
        size: u64,
    ) -> Result<Arc<VerifiedFile>, ImageError> {
        let plain = Layer { blob: digest, size, diff_id: digest };
        self.layer_named(image, &plain)
    }
}
