//! The image cache: an OCI image layout that several processes may use at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::{env, fmt, fs};

use oci_spec::image::{Arch, Descriptor};

use super::blobs::Directories;
use super::digest::Digest;
use super::document::{Documents, Manifest};
use super::{Image, ImageError, Layer, Reference, VerifiedFile, index};

/// A directory of images.
///
/// Every file in it is written under another name, synced and renamed, so a killed process leaves no half of
/// anything. `index.json` changes under a lock; blobs are removed only while nobody adds any.
pub struct Cache {
    pub(super) dirs: Directories,
    pub(super) verified: Mutex<HashMap<Layer, Arc<VerifiedFile>>>,
}

/// One name in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name as the index has it; normally a canonical [`Reference`].
    pub name: String,
    /// Digest of its manifest, or of its index of manifests.
    pub digest: Digest,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("dirs", &self.dirs).finish_non_exhaustive()
    }
}

impl Cache {
    /// Opens a cache; makes it when it is not there.
    ///
    /// # Errors
    /// When the directory cannot be read or made.
    pub fn open(dir: &Path) -> Result<Self, ImageError> {
        let dirs = Directories::open(dir)?;
        index::initialise(&dirs)?;
        Ok(Self { dirs, verified: Mutex::default() })
    }

    /// The directory: an OCI layout, which other tools read too.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dirs.root
    }

    /// `LKB_CACHE`, else `LINUXKIT_CACHE`, else `~/.lkb/cache`.
    ///
    /// # Errors
    /// When none of these variables nor `HOME` is set.
    pub fn default_dir() -> Result<PathBuf, ImageError> {
        default_dir(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
    }

    /// Finds an image for this architecture, in Go's words (`amd64`, `arm64`). Its documents are verified now,
    /// its layers by [`Self::verify`] or [`Self::layer`].
    ///
    /// # Errors
    /// When the cache has this name but not for this architecture, or a document of it is missing, damaged or
    /// unusable.
    pub fn resolve(&self, reference: &Reference, arch_name: &str) -> Result<Option<Image>, ImageError> {
        let Some(manifest) = self.find(reference, arch_name)? else { return Ok(None) };
        let image = reference.to_string();
        let layers = Documents { dirs: &self.dirs, image: &image }.layers(&manifest)?;
        Ok(Some(Image {
            reference: reference.clone(),
            named: manifest.named,
            digest: manifest.digest,
            config: manifest.config,
            healthcheck: manifest.healthcheck,
            layers,
        }))
    }

    /// What an image is known by in the stores of those who run containers: the digest of its configuration.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn id(&self, reference: &Reference, arch_name: &str) -> Result<Option<Digest>, ImageError> {
        let Some(manifest) = self.find(reference, arch_name)? else { return Ok(None) };
        let digest = Digest::of_descriptor(manifest.manifest.config().digest());
        digest.map(Some).map_err(|error| ImageError::digest(&reference.to_string(), "configuration", &error))
    }

    /// Whether all layers of an image are there, in their size. Some are not when a pull of one platform was
    /// interrupted and the name is there for the sake of another.
    #[must_use]
    pub fn has_layers(&self, image: &Image) -> bool {
        image.layers.iter().all(|layer| {
            fs::metadata(self.dirs.blob(layer.blob)).is_ok_and(|metadata| metadata.len() == layer.size)
        })
    }

    /// The manifest that a reference means for an architecture.
    pub(super) fn find(
        &self,
        reference: &Reference,
        arch_name: &str,
    ) -> Result<Option<Manifest>, ImageError> {
        let image = reference.to_string();
        let documents = Documents { dirs: &self.dirs, image: &image };
        let wanted = Arch::from(arch_name);
        let mut found = Vec::new();
        for entry in self.candidates(reference, &documents)? {
            match documents.select(&entry, &wanted)? {
                Ok(manifest) => return Ok(Some(manifest)),
                Err(platforms) => found.extend(platforms),
            }
        }
        if found.is_empty() {
            return Ok(None);
        }
        found.sort();
        found.dedup();
        Err(ImageError::Platform { image, wanted: arch_name.into(), found: found.join(", ") })
    }

    /// The descriptors that a reference may mean: entries of that name, or, for a digest, whatever has this
    /// digest in the same repository.
    pub(super) fn candidates(
        &self,
        reference: &Reference,
        documents: &Documents<'_>,
    ) -> Result<Vec<Descriptor>, ImageError> {
        let entries = index::load(&self.dirs)?;
        let Some(digest) = reference.digest() else {
            let is_it = |entry: &Descriptor| index::reference(entry).as_ref() == Some(reference);
            return Ok(entries.into_iter().filter(is_it).collect());
        };
        let mut candidates = Vec::new();
        for entry in entries {
            if index::reference(&entry).is_none_or(|other| other.name() != reference.name()) {
                continue;
            }
            if entry.digest().as_ref() == digest.to_string() {
                candidates.push(entry);
            } else {
                let children = documents.manifests(&entry)?;
                candidates.extend(
                    children.into_iter().filter(|child| child.digest().as_ref() == digest.to_string()),
                );
            }
        }
        Ok(candidates)
    }

    /// All names, sorted.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, ImageError> {
        let mut listed = Vec::new();
        for entry in index::load(&self.dirs)? {
            let Some(name) = index::name(&entry) else { continue };
            let digest = Digest::of_descriptor(entry.digest())
                .map_err(|error| ImageError::digest(name, "manifest", &error))?;
            listed.push(Listed { name: name.to_owned(), digest });
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// Gives a name to an image whose blobs are there. What had this name has it no more, unless `beside` keeps both:
    /// then they are for different platforms. The caller holds the lock for adding.
    pub(super) fn give_name(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        beside: bool,
    ) -> Result<(), ImageError> {
        let _lock = self.dirs.lock_index()?;
        let mut entries = index::load(&self.dirs)?;
        entries.retain(|entry| {
            index::reference(entry).as_ref() != Some(reference)
                || (beside && entry.digest() != descriptor.digest())
        });
        entries.push(index::named(descriptor, reference));
        index::store(&self.dirs, entries)
    }
}

fn default_dir(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, ImageError> {
    variable("LKB_CACHE")
        .or_else(|| variable("LINUXKIT_CACHE"))
        .or_else(|| variable("HOME").map(|home| home.join(".lkb/cache")))
        .ok_or(ImageError::NoHome)
}
