//! Images of the cache as archives: what `lkb cache export` writes.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use ::tar::Header;
use serde_json::Value;

use crate::image::{Cache, Exported, ImageError, Reference};
use crate::tree::{Origin, Tree};

use super::OutputError;
use super::member::{self, END};
use super::tar::write_tree;

/// What lists the images of an archive that `docker save` writes.
const MANIFEST: &str = "manifest.json";

/// What an image becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// A tar archive of an OCI image layout.
    Oci,
    /// What `docker save` writes.
    Docker,
    /// The files of all layers, as a container would see them.
    Filesystem,
}

/// Writes one image for one architecture; formats that have a name in them call it `called`.
///
/// # Errors
/// When the image is not in the cache for this architecture, is damaged, or cannot be written.
pub fn write_image(
    cache: &Cache,
    reference: &Reference,
    arch: &str,
    called: &Reference,
    format: ImageFormat,
    out: &mut dyn Write,
) -> Result<(), OutputError> {
    let files = match format {
        ImageFormat::Oci => cache.export_oci(reference, arch, called)?,
        ImageFormat::Docker => cache.export_docker(reference, arch, called)?,
        ImageFormat::Filesystem => return write_filesystem(cache, reference, arch, out),
    };
    for (name, content) in &files {
        member(out, name, content).map_err(|source| OutputError::Copy {
            path: name.clone(),
            origin: reference.to_string(),
            into: "the archive".into(),
            source,
        })?;
    }
    out.write_all(&END).map_err(OutputError::io("write", "the archive".as_ref()))
}

/// Writes images for one architecture into one archive in the form of `docker save`; the second of each two references is
/// what an image is called in it.
///
/// # Errors
/// As [`write_image`].
pub fn write_saved(
    cache: &Cache,
    images: &[(Reference, Reference)],
    arch: &str,
    out: &mut dyn Write,
) -> Result<(), OutputError> {
    let (mut listed, mut written) = (Vec::new(), BTreeSet::new());
    let copied = |name: &str, source: io::Error| OutputError::Copy {
        path: name.into(),
        origin: "an image".into(),
        into: "the archive".into(),
        source,
    };
    for (reference, called) in images {
        for (name, content) in cache.export_docker(reference, arch, called)? {
            if let (MANIFEST, Exported::Document(bytes)) = (name.as_str(), &content) {
                let own: Vec<Value> =
                    serde_json::from_slice(bytes).map_err(|error| copied(&name, io::Error::other(error)))?;
                listed.extend(own);
            } else if written.insert(name.clone()) {
                // Images may have layers in common.
                member(out, &name, &content).map_err(|source| copied(&name, source))?;
            }
        }
    }
    let list = Exported::Document(Value::from(listed).to_string().into_bytes());
    member(out, MANIFEST, &list).map_err(|source| copied(MANIFEST, source))?;
    out.write_all(&END).map_err(OutputError::io("write", "the archive".as_ref()))
}

fn member(out: &mut dyn Write, name: &str, content: &Exported) -> io::Result<()> {
    let len = match content {
        Exported::Document(bytes) => bytes.len() as u64,
        Exported::File(file) => file.len(),
    };
    out.write_all(member::header(Header::new_ustar(), name, len)?.as_bytes())?;
    match content {
        Exported::Document(bytes) => out.write_all(bytes)?,
        Exported::File(file) => drop(io::copy(&mut file.stretch(0, len), out)?),
    }
    out.write_all(member::padding(len))
}

fn write_filesystem(
    cache: &Cache,
    reference: &Reference,
    arch: &str,
    out: &mut dyn Write,
) -> Result<(), OutputError> {
    let image =
        cache.resolve(reference, arch)?.ok_or_else(|| ImageError::Absent { image: reference.to_string() })?;
    cache.verify([&image])?;
    let origin = Arc::new(Origin { source: reference.to_string(), ..Origin::default() });
    let mut tree = Tree::new();
    for layer in &image.layers {
        let file = cache.layer(&image, layer)?;
        tree.apply(&file, 0, file.len(), &origin).map_err(|source| OutputError::Layer {
            image: reference.to_string(),
            layer: layer.blob,
            source: Box::new(source),
        })?;
    }
    write_tree(&tree, out)
}
