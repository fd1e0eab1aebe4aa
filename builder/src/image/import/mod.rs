//! Images from elsewhere: OCI layouts (directories or tar archives) and `docker save` archives.

mod docker;
mod source;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;

use super::digest::Digest;
use super::document::{is_index, is_manifest};
use super::limits::{MAX_DOCUMENT, MAX_LAYER, MAX_LAYERS, MAX_MANIFESTS};
use super::{Cache, ImageError, Reference, VerifiedFile, index};
use source::Source;

/// Where containerd and Docker put an image's full name; the OCI annotation then has the tag alone.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

impl Cache {
    /// Copies images into the cache and gives them their names, replacing what had these names. Every blob is
    /// verified while it is copied. Of an index, the platforms that the source has are copied.
    ///
    /// `path` is an OCI layout directory, or an uncompressed tar archive of one, or of `docker save`. Without
    /// `name`, images have the names that the source gives them.
    ///
    /// # Errors
    /// When it is none of these, a blob is missing or is not what its digest says, an image has no full name, or
    /// one name is given to several images. Nothing is named then.
    pub fn import(&self, path: &Path, name: Option<&Reference>) -> Result<Vec<Reference>, ImageError> {
        let source = Source::open(path)?;
        // Held until the names are stored: nobody removes blobs that no name leads to yet.
        let _adding = self.dirs.lock_adding()?;
        let import = Import { cache: self, source: &source, path };
        let found = if source.has("index.json") {
            import.layout()?
        } else if source.has("manifest.json") {
            import.docker()?
        } else {
            return Err(
                import.refuse("it has neither index.json (an OCI layout) nor manifest.json (docker save)")
            );
        };
        let named = import.name_all(found, name)?;

        let _lock = self.dirs.lock_index()?;
        let mut entries = index::load(&self.dirs)?;
        entries.retain(|entry| !named.iter().any(|(new, _)| index::reference(entry).as_ref() == Some(new)));
        entries.extend(named.iter().map(|(reference, descriptor)| index::named(descriptor, reference)));
        index::store(&self.dirs, entries)?;
        Ok(named.into_iter().map(|(reference, _)| reference).collect())
    }
}

struct Import<'a> {
    cache: &'a Cache,
    source: &'a Source,
    path: &'a Path,
}

/// An image that was copied, and the name it brought.
struct Found {
    descriptor: Descriptor,
    name: Option<String>,
}

impl Import<'_> {
    fn layout(&self) -> Result<Vec<Found>, ImageError> {
        let index: ImageIndex = self.document("index.json")?;
        let manifests = index.manifests();
        if manifests.is_empty() || manifests.len() > MAX_MANIFESTS {
            let count = manifests.len();
            return Err(
                self.refuse(&format!("its index.json names {count} images, not 1 to {MAX_MANIFESTS}"))
            );
        }
        manifests
            .iter()
            .map(|descriptor| {
                self.copy_image(descriptor)?;
                let annotation =
                    |key| descriptor.annotations().as_ref().and_then(|all| all.get(key)).cloned();
                let name = annotation(CONTAINERD_NAME).or_else(|| annotation(index::REF_NAME));
                Ok(Found { descriptor: descriptor.clone(), name })
            })
            .collect()
    }

    fn copy_image(&self, top: &Descriptor) -> Result<(), ImageError> {
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
        if VerifiedFile::open(&self.cache.dirs.blob(digest), digest, Some(size)).is_ok() {
            return Ok(());
        }
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

    /// Reads a JSON document of the source.
    fn document<T: DeserializeOwned>(&self, name: &str) -> Result<T, ImageError> {
        let bytes = self.bytes(name)?;
        serde_json::from_slice(&bytes).map_err(|error| self.refuse(&format!("{name}: {error}")))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, ImageError> {
        let (content, len) =
            self.source.get(name)?.ok_or_else(|| self.refuse(&format!("{name} is missing")))?;
        if len > MAX_DOCUMENT {
            return Err(self.refuse(&format!("{name} has more than {MAX_DOCUMENT} bytes")));
        }
        let mut bytes = Vec::new();
        content.take(MAX_DOCUMENT).read_to_end(&mut bytes).map_err(ImageError::io("read", self.path))?;
        Ok(bytes)
    }

    fn name_all(
        &self,
        found: Vec<Found>,
        given: Option<&Reference>,
    ) -> Result<Vec<(Reference, Descriptor)>, ImageError> {
        if let Some(given) = given {
            let [Found { descriptor, .. }] = found.as_slice() else {
                let count = found.len();
                return Err(self.refuse(&format!("it has {count} images, which cannot all be named {given}")));
            };
            if given.digest().is_some_and(|digest| digest.to_string() != descriptor.digest().as_ref()) {
                return Err(self.refuse(&format!("its image is {}, not {given}", descriptor.digest())));
            }
            return Ok(vec![(given.clone(), descriptor.clone())]);
        }
        found
            .into_iter()
            .map(|Found { descriptor, name }| {
                // The annotation may be a tag alone (image-layout.md, "index.json file"): no name to find it by.
                let name = name.filter(|name| name.contains(['/', ':']));
                let name = name.ok_or_else(|| self.refuse("it does not say its image's name; give one"))?;
                let source = |source| ImageError::Name { path: self.path.to_owned(), source };
                Ok((name.parse().map_err(source)?, descriptor))
            })
            .collect()
    }

    fn digest(&self, descriptor: &Descriptor) -> Result<Digest, ImageError> {
        Digest::of_descriptor(descriptor.digest()).map_err(|error| self.refuse(&error.to_string()))
    }

    fn refuse(&self, reason: &str) -> ImageError {
        ImageError::Import { path: self.path.to_owned(), reason: reason.to_owned() }
    }
}

fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Opens a regular file; a named pipe would block, a device would never end.
fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok((file, metadata.len())),
        false => Err(io::Error::other("it is not a regular file")),
    }
}
