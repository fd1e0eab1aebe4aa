//! What `lkb inspect` and `lkb diff` look into when it is no configuration: what was built, and images.

use std::error::Error;
use std::path::Path;

use super::Context;
use crate::config::{LocalForm, LocalImage};
use crate::contents::{Listing, list_image};
use crate::image::registry::Former;
use crate::image::{Cache, Form, Reference};

type Failed = Box<dyn Error + Send + Sync>;

/// Something to look into.
#[derive(Debug)]
pub enum Built {
    /// A file that may be anything but an image.
    File,
    /// An image in a file or a directory.
    Image(LocalImage),
    /// An image in the cache or in a registry.
    Name(Reference),
}

/// What a word on the command line names, unless that can only be a configuration.
///
/// # Errors
/// When it begins like an image in a file, and is not written like one.
pub fn named(word: &Path) -> Result<Option<Built>, String> {
    let Some(text) = word.to_str() else { return Ok(Some(Built::File)) };
    if let Some(local) = LocalImage::parse(text) {
        return local.map(|local| Some(Built::Image(local)));
    }
    let local = |form| Some(Built::Image(LocalImage { form, path: word.to_owned(), name: None }));
    if word.is_dir() {
        return Ok(match word.join("index.json").is_file() {
            true => local(LocalForm::OciDirectory),
            false => Some(Built::File),
        });
    }
    if word.exists() {
        return Ok(Some(Built::File));
    }
    // Names of files seldom have a tag or a digest.
    let reference = text.parse::<Reference>().ok().filter(|_| text.contains([':', '@']));
    Ok(reference.map(Built::Name))
}

/// Looks into it, for this architecture; `pull` asks the registry for what the cache has, too.
///
/// # Errors
/// When it cannot be read, is damaged, or is not there.
pub fn list(
    word: &Path,
    built: &Built,
    arch: &str,
    pull: bool,
    context: &Context,
) -> Result<Listing, Failed> {
    match built {
        Built::File => {
            let listing = Listing::of_file(word)?;
            // An image that is not said to be one.
            let form = match () {
                () if listing.has("oci-layout") && listing.has("index.json") => LocalForm::OciArchive,
                () if listing.has("manifest.json") && !listing.has("etc") => LocalForm::DockerArchive,
                () => return Ok(listing),
            };
            local(&LocalImage { form, path: word.to_owned(), name: None }, arch, context)
        }
        Built::Image(image) => local(image, arch, context),
        Built::Name(reference) => {
            let cache = context.cache()?;
            if pull || !is_there(&cache, reference, arch) {
                context.registries()?.pull(&cache, reference, arch, Former::Kept)?;
            }
            Ok(list_image(&cache, reference, arch)?)
        }
    }
}

/// What cannot be used is brought again, and an error is told then.
fn is_there(cache: &Cache, reference: &Reference, arch: &str) -> bool {
    let found = cache.resolve(reference, arch);
    found.is_ok_and(|image| image.is_some_and(|image| cache.has_layers(&image)))
}

/// Images in files are taken into the cache, as builds do it.
fn local(image: &LocalImage, arch: &str, context: &Context) -> Result<Listing, Failed> {
    let form = match image.form {
        LocalForm::DockerArchive => Form::DockerArchive,
        LocalForm::OciArchive => Form::OciArchive,
        LocalForm::OciDirectory => Form::OciDirectory,
    };
    let cache = context.cache()?;
    let reference = cache.import_pinned(&image.path, form, image.name.as_deref())?;
    Ok(list_image(&cache, &reference, arch)?)
}
