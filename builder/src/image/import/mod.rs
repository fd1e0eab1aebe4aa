//! Images from elsewhere: OCI layouts (directories or tar archives) and `docker save` archives.

mod docker;
mod layout;
mod names;
mod source;
mod spool;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

use oci_spec::image::Descriptor;
use serde::de::DeserializeOwned;

use super::digest::Digest;
use super::limits::MAX_DOCUMENT;
use super::{Cache, ImageError, Reference, index};
pub(super) use layout::CONTAINERD_NAME;
use source::Source;

/// What a file with images is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// What `docker save` writes.
    DockerArchive,
    /// A tar archive of an OCI image layout.
    OciArchive,
    /// The directory of an OCI image layout.
    OciDirectory,
}

impl Cache {
    /// Copies images into the cache and gives them their names, replacing what had these names. Every blob is
    /// verified while it is copied. Of an index, the platforms that the source has are copied.
    ///
    /// `path` is an OCI layout directory, or a tar archive of one, or of `docker save`; archives may be compressed by
    /// gzip or zstd. Without `name`, images have the names that the source gives them.
    ///
    /// # Errors
    /// When it is none of these, a blob is missing or is not what its digest says, an image has no full name, or
    /// one name is given to several images. Nothing is named then.
    pub fn import(&self, path: &Path, name: Option<&Reference>) -> Result<Vec<Reference>, ImageError> {
        // Held until the names are stored: nobody removes blobs that no name leads to yet.
        let _adding = self.dirs.lock_adding()?;
        let source = Source::open(path, &self.dirs)?;
        self.import_source(&Import { cache: self, source: &source, path }, name)
    }

    /// As [`Self::import`], from an archive that comes as a stream, such as standard input; `called` is its name in
    /// errors.
    ///
    /// # Errors
    /// As [`Self::import`], and when the stream breaks off.
    pub fn import_stream(
        &self,
        stream: &mut dyn Read,
        called: &Path,
        name: Option<&Reference>,
    ) -> Result<Vec<Reference>, ImageError> {
        let _adding = self.dirs.lock_adding()?;
        let source = Source::receive(stream, called, &self.dirs)?;
        self.import_source(&Import { cache: self, source: &source, path: called }, name)
    }

    /// Copies one image of a file into the cache, under a name that has its digest and so takes no other image's
    /// place. An earlier content of the same file loses its name.
    ///
    /// `chosen` says which image, by one of the names that the file has for it.
    ///
    /// # Errors
    /// As [`Self::import`], and when the file has another form, several images and none chosen, or not the chosen one.
    pub fn import_pinned(
        &self,
        path: &Path,
        form: Form,
        chosen: Option<&str>,
    ) -> Result<Reference, ImageError> {
        let _adding = self.dirs.lock_adding()?;
        let source = Source::open(path, &self.dirs)?;
        let import = Import { cache: self, source: &source, path };
        import.check_form(form)?;
        let held = import.choose(import.held()?, chosen)?;
        let descriptor = import.copy_held(&held.content)?;
        let reference = names::pinned(path, &held.names, chosen, import.digest(&descriptor)?);
        let file = std::path::absolute(path).map_err(ImageError::io("find", path))?;
        let file = format!("{}:{}", file.display(), chosen.unwrap_or_default());
        self.pin(&index::pinned(&descriptor, &reference, &file, None))?;
        Ok(reference)
    }

    /// The same for the only image of an archive that comes as a stream. `called` is where it comes from, `id` what it
    /// is known by there, for [`Self::pinned_from`], and `name` what it is called.
    ///
    /// # Errors
    /// As [`Self::import_stream`], and when there are several images.
    pub fn import_pinned_stream(
        &self,
        stream: &mut dyn Read,
        called: &Path,
        id: &str,
        name: &Reference,
    ) -> Result<Reference, ImageError> {
        let _adding = self.dirs.lock_adding()?;
        let source = Source::receive(stream, called, &self.dirs)?;
        let import = Import { cache: self, source: &source, path: called };
        let held = import.choose(import.held()?, None)?;
        let descriptor = import.copy_held(&held.content)?;
        let reference = name.clone().at(import.digest(&descriptor)?);
        self.pin(&index::pinned(&descriptor, &reference, &called.to_string_lossy(), Some(id)))?;
        Ok(reference)
    }

    /// The name of what has come from there before and is still the same, if all of it is here.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn pinned_from(&self, called: &str, id: &str, arch: &str) -> Result<Option<Reference>, ImageError> {
        let entries = index::load(&self.dirs)?;
        let is_it = |entry: &&Descriptor| index::file(entry) == Some(called) && index::id(entry) == Some(id);
        let Some(reference) = entries.iter().find(is_it).and_then(index::reference) else {
            return Ok(None);
        };
        match self.resolve(&reference, arch) {
            Ok(Some(image)) if self.has_layers(&image) => Ok(Some(reference)),
            Err(error @ ImageError::Io { .. }) => Err(error),
            // Damaged, or of another platform: it is brought again.
            _ => Ok(None),
        }
    }

    /// Names an image that is pinned, and takes the names of what was in its file before. The caller holds the lock for
    /// adding.
    fn pin(&self, pinned: &Descriptor) -> Result<(), ImageError> {
        let _lock = self.dirs.lock_index()?;
        let mut entries = index::load(&self.dirs)?;
        if entries.contains(pinned) {
            return Ok(());
        }
        entries.retain(|entry| {
            // What is from no file has no name with a digest of this kind, and stays.
            index::name(entry) != index::name(pinned) && index::file(entry) != index::file(pinned)
        });
        entries.push(pinned.clone());
        index::store(&self.dirs, entries)
    }

    /// The caller holds the lock for adding.
    fn import_source(
        &self,
        import: &Import<'_>,
        name: Option<&Reference>,
    ) -> Result<Vec<Reference>, ImageError> {
        let mut found = Vec::new();
        for held in import.held()? {
            found.push((import.copy_held(&held.content)?, held.names));
        }
        let named = import.name_all(found, name)?;
        let _lock = self.dirs.lock_index()?;
        let mut entries = index::load(&self.dirs)?;
        entries.retain(|entry| !named.iter().any(|(new, _)| index::reference(entry).as_ref() == Some(new)));
        entries.extend(named.iter().map(|(reference, descriptor)| index::named(descriptor, reference)));
        index::store(&self.dirs, entries)?;
        Ok(named.into_iter().map(|(reference, _)| reference).collect())
    }
}

/// Copies the only image of a layout or an archive. The caller holds the lock for adding.
pub(super) fn only_image(cache: &Cache, path: &Path) -> Result<Descriptor, ImageError> {
    let source = Source::open(path, &cache.dirs)?;
    let import = Import { cache, source: &source, path };
    match import.held()?.as_slice() {
        [held] => import.copy_held(&held.content),
        several => Err(import.refuse(&format!("it has {} images, not one", several.len()))),
    }
}

struct Import<'a> {
    cache: &'a Cache,
    source: &'a Source,
    path: &'a Path,
}

/// An image of the source, and the names that it has there.
struct Held {
    content: Content,
    names: Vec<String>,
}

enum Content {
    Layout(Box<Descriptor>),
    Saved(docker::Saved),
}

impl Import<'_> {
    /// What the source has.
    fn held(&self) -> Result<Vec<Held>, ImageError> {
        if self.source.has("index.json") {
            self.held_in_layout()
        } else if self.source.has("manifest.json") {
            self.held_by_docker()
        } else {
            Err(self.refuse("it has neither index.json (an OCI layout) nor manifest.json (docker save)"))
        }
    }

    fn check_form(&self, form: Form) -> Result<(), ImageError> {
        let directory = matches!(self.source, Source::Directory(_));
        match form {
            Form::OciDirectory if !directory => {
                Err(self.refuse("it is no directory; an archive is written oci-archive: or docker-archive:"))
            }
            Form::OciArchive | Form::DockerArchive if directory => {
                Err(self.refuse("it is a directory; an OCI layout is written oci:"))
            }
            Form::OciArchive | Form::OciDirectory if !self.source.has("index.json") => {
                Err(self.refuse("it has no index.json, and so is no OCI layout"))
            }
            Form::DockerArchive if !self.source.has("manifest.json") => {
                Err(self.refuse("it has no manifest.json, and so is not what docker save writes"))
            }
            _ => Ok(()),
        }
    }

    fn copy_held(&self, content: &Content) -> Result<Descriptor, ImageError> {
        match content {
            Content::Layout(descriptor) => {
                self.copy_layout(descriptor)?;
                Ok(Descriptor::clone(descriptor))
            }
            Content::Saved(saved) => self.copy_saved(saved),
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
