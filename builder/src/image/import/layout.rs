//! OCI image layouts: manifests, and indexes of them (OCI image-spec, image-layout.md).

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;

use super::super::document::{is_index, is_manifest};
use super::super::limits::{MAX_DOCUMENT, MAX_LAYER, MAX_LAYERS, MAX_MANIFESTS};
use super::super::{ImageError, VerifiedFile, index};
use super::{Content, Held, Import, blob_name};

/// Where containerd and Docker put an image's full name; the OCI annotation then has the tag alone.
pub(in crate::image) const CONTAINERD_NAME: &str = "io.containerd.image.name";

impl Import<'_> {
    /// The images that `index.json` names, each once.
    pub(super) fn held_in_layout(&self) -> Result<Vec<Held>, ImageError> {
        let index: ImageIndex = self.document("index.json")?;
        let manifests = index.manifests();
        if manifests.is_empty() || manifests.len() > MAX_MANIFESTS {
            let count = manifests.len();
            return Err(
                self.refuse(&format!("its index.json names {count} images, not 1 to {MAX_MANIFESTS}"))
            );
        }
        let mut held: Vec<Held> = Vec::new();
        for descriptor in manifests {
            let annotation = |key| descriptor.annotations().as_ref().and_then(|all| all.get(key)).cloned();
            let name = annotation(CONTAINERD_NAME).or_else(|| annotation(index::REF_NAME));
            let same = |held: &&mut Held| matches!(&held.content, Content::Layout(other) if other.digest() == descriptor.digest());
            match held.iter_mut().find(same) {
                Some(held) => held.names.extend(name),
                None => held.push(Held {
                    content: Content::Layout(Box::new(descriptor.clone())),
                    names: name.into_iter().collect(),
                }),
            }
        }
        Ok(held)
    }

    pub(super) fn copy_layout(&self, top: &Descriptor) -> Result<(), ImageError> {
        if is_manifest(top.media_type()) {
            return self.copy_manifest(top);
        }
        if !is_index(top.media_type()) {
            return Err(self.refuse(&format!("{} is neither a manifest nor an index", top.media_type())));
        }
        let index: ImageIndex = self.copy_document(top)?;
        if index.manifests().len() > MAX_MANIFESTS {
            return Err(self.refuse(&format!("an index names more than {MAX_MANIFESTS} manifests")));
        }
        let mut any = false;
        for child in index.manifests().iter().filter(|child| is_manifest(child.media_type())) {
            // An index may name platforms that the source leaves out.
            if self.source.has(&blob_name(self.digest(child)?)) {
                self.copy_manifest(child)?;
                any = true;
            }
        }
        match any {
            true => Ok(()),
            false => {
                Err(self.refuse(&format!("it has none of the manifests that index {} names", top.digest())))
            }
        }
    }

    fn copy_manifest(&self, descriptor: &Descriptor) -> Result<(), ImageError> {
        let manifest: ImageManifest = self.copy_document(descriptor)?;
        if manifest.layers().len() > MAX_LAYERS {
            return Err(
                self.refuse(&format!("manifest {} has more than {MAX_LAYERS} layers", descriptor.digest()))
            );
        }
        self.copy(manifest.config(), MAX_DOCUMENT)?;
        manifest.layers().iter().try_for_each(|layer| self.copy(layer, MAX_LAYER))
    }

    fn copy_document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T, ImageError> {
        self.copy(descriptor, MAX_DOCUMENT)?;
        self.document(&blob_name(self.digest(descriptor)?))
    }

    /// Copies one blob, unless the cache has it undamaged.
    fn copy(&self, descriptor: &Descriptor, limit: u64) -> Result<(), ImageError> {
        let digest = self.digest(descriptor)?;
        let size = descriptor.size();
        if size > limit {
            return Err(self.refuse(&format!("blob {digest} has {size} bytes, more than {limit}")));
        }
        let _making = loop {
            if VerifiedFile::open(&self.cache.dirs.blob(digest), digest, Some(size)).is_ok() {
                return Ok(());
            }
            if let Some(making) = self.cache.dirs.lock_making(digest, &mut || {})? {
                break making;
            }
        };
        let (mut content, len) = self
            .source
            .get(&blob_name(digest))?
            .ok_or_else(|| self.refuse(&format!("blob {digest} is missing")))?;
        if len != size {
            return Err(self.refuse(&format!("blob {digest} has {len} bytes instead of {size}")));
        }
        match self.cache.dirs.add_blob_as(&mut content, digest, size)? {
            actual if actual == digest => Ok(()),
            actual => Err(self.refuse(&format!("blob {digest} is damaged: its content has digest {actual}"))),
        }
    }
}
