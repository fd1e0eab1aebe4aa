//! The cache's `index.json`: which names there are, and what they name (OCI image-spec, image-layout.md).

use std::collections::HashMap;
use std::fs;
use std::io;

use oci_spec::image::{Descriptor, ImageIndex, MediaType};

use super::blobs::Directories;
use super::limits::MAX_DOCUMENT;
use super::{ImageError, Reference};

/// The annotation that names an image in an OCI layout.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that says which file of this machine an image is from.
const FILE: &str = "lkb.image.file";
/// The annotation that says what an image's source knows it by.
const ID: &str = "lkb.image.id";
const HEADER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Makes the layout's fixed parts where they are missing.
pub(super) fn initialise(dirs: &Directories) -> Result<(), ImageError> {
    if dirs.header().exists() && dirs.index().exists() {
        return Ok(());
    }
    let _adding = dirs.lock_adding()?;
    let _lock = dirs.lock_index()?;
    if !dirs.index().exists() {
        store(dirs, Vec::new())?;
    }
    if !dirs.header().exists() {
        dirs.replace(&dirs.header(), HEADER)?;
    }
    Ok(())
}

/// All named images.
pub(super) fn load(dirs: &Directories) -> Result<Vec<Descriptor>, ImageError> {
    let path = dirs.index();
    let len = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        metadata => metadata.map_err(ImageError::io("read", &path))?.len(),
    };
    if len > MAX_DOCUMENT {
        return Err(ImageError::Index { path, reason: format!("it has more than {MAX_DOCUMENT} bytes") });
    }
    let text = fs::read(&path).map_err(ImageError::io("read", &path))?;
    let index: ImageIndex = serde_json::from_slice(&text)
        .map_err(|error| ImageError::Index { path, reason: error.to_string() })?;
    Ok(index.manifests().clone())
}

/// Replaces the index. The caller holds its lock since before [`load`].
pub(super) fn store(dirs: &Directories, manifests: Vec<Descriptor>) -> Result<(), ImageError> {
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageIndex,
        "manifests": manifests,
    });
    dirs.replace(&dirs.index(), index.to_string().as_bytes())
}

/// The name of an entry, if it is an image reference.
pub(super) fn reference(descriptor: &Descriptor) -> Option<Reference> {
    name(descriptor)?.parse().ok()
}

/// The name of an entry, as it is written.
pub(super) fn name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(REF_NAME).map(String::as_str)
}

/// The entry that gives this name to what a descriptor describes.
pub(super) fn named(descriptor: &Descriptor, reference: &Reference) -> Descriptor {
    let mut named = descriptor.clone();
    named.set_annotations(Some(HashMap::from([(REF_NAME.to_owned(), reference.to_string())])));
    named
}

/// As [`named`], for an image that was taken from a file of this machine; with what its source knows it by, if that
/// is something.
pub(super) fn pinned(
    descriptor: &Descriptor,
    reference: &Reference,
    file: &str,
    id: Option<&str>,
) -> Descriptor {
    let mut annotations =
        HashMap::from([(REF_NAME.to_owned(), reference.to_string()), (FILE.to_owned(), file.to_owned())]);
    annotations.extend(id.map(|id| (ID.to_owned(), id.to_owned())));
    let mut named = descriptor.clone();
    named.set_annotations(Some(annotations));
    named
}

/// The file that an entry is from, if it is from one.
pub(super) fn file(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(FILE).map(String::as_str)
}

/// What an entry's source knows it by.
pub(super) fn id(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(ID).map(String::as_str)
}
