//! Images as the files of an archive that other tools read.

use std::sync::Arc;

use serde_json::json;

use super::{Cache, Digest, ImageError, Reference, VerifiedFile, index};

/// One file of an archive.
#[derive(Debug)]
pub enum Exported {
    /// A document that is made for the archive.
    Document(Vec<u8>),
    /// A blob or a layer of the cache.
    File(Arc<VerifiedFile>),
}

impl Cache {
    /// One image for one architecture as an OCI image layout that calls it `called`: path and content, in the order in
    /// which they are best read. containerd and Docker find the name, too.
    ///
    /// # Errors
    /// When the image is not in the cache for this architecture, or a blob is missing or damaged.
    pub fn export_oci(
        &self,
        reference: &Reference,
        arch: &str,
        called: &Reference,
    ) -> Result<Vec<(String, Exported)>, ImageError> {
        let called = called.to_string();
        let annotations = json!({index::REF_NAME: called, super::import::CONTAINERD_NAME: called});
        let layout = self.layout_called(reference, &[format!("linux/{arch}")], annotations)?;
        let mut files: Vec<(String, Exported)> =
            layout.documents.into_iter().map(|(path, text)| (path, Exported::Document(text))).collect();
        files.extend(
            layout
                .blobs
                .into_iter()
                .map(|blob| (format!("blobs/sha256/{}", blob.digest().hex()), Exported::File(blob))),
        );
        Ok(files)
    }

    /// The same in the form of `docker save` (Docker image specification v1.2): `docker load` and `podman load` take it.
    ///
    /// # Errors
    /// As [`Self::export_oci`].
    pub fn export_docker(
        &self,
        reference: &Reference,
        arch: &str,
        called: &Reference,
    ) -> Result<Vec<(String, Exported)>, ImageError> {
        let absent = || ImageError::Absent { image: reference.to_string() };
        let manifest = self.find(reference, arch)?.ok_or_else(absent)?;
        let image = self.resolve(reference, arch)?.ok_or_else(absent)?;
        self.verify([&image])?;
        let config = manifest.manifest.config();
        let digest: Digest = Digest::of_descriptor(config.digest())
            .map_err(|error| ImageError::digest(&reference.to_string(), "configuration", &error))?;
        let mut names: Vec<String> = Vec::new();
        let mut files = Vec::new();
        for layer in &image.layers {
            let name = format!("{}.tar", layer.diff_id.hex());
            if !names.contains(&name) {
                files.push((name.clone(), Exported::File(self.layer(&image, layer)?)));
            }
            names.push(name);
        }
        let config_name = format!("{}.json", digest.hex());
        let config = self.blob(&reference.to_string(), digest, config.size())?;
        // A name by digest alone is nothing that Docker could call it.
        let tags: Vec<String> =
            called.tag().map(|tag| format!("{}:{tag}", called.name())).into_iter().collect();
        let list = json!([{"Config": config_name, "RepoTags": tags, "Layers": names}]);
        files.insert(0, ("manifest.json".into(), Exported::Document(list.to_string().into_bytes())));
        files.insert(1, (config_name, Exported::File(config)));
        Ok(files)
    }
}
