//! Images in files: taken into the cache, and from then on known by their digests.

use std::collections::BTreeMap;

use crate::config::{Config, LocalForm, LocalImage};
use crate::image::{Cache, Form, Reference};

use super::BuildError;

/// Takes the images of a configuration that are in files into the cache, and has the configuration name them by what
/// they are: what is built does not depend on where a file lies.
///
/// # Errors
/// When a file is not what it is said to be, or has not the one image that is meant.
pub fn take_local(config: &mut Config, cache: &Cache) -> Result<(), BuildError> {
    let mut taken: BTreeMap<LocalImage, Reference> = BTreeMap::new();
    for image_use in config.images_mut() {
        let Some(local) = &image_use.local else { continue };
        let reference = match taken.get(local) {
            Some(reference) => reference.clone(),
            None => {
                let form = match local.form {
                    LocalForm::DockerArchive => Form::DockerArchive,
                    LocalForm::OciArchive => Form::OciArchive,
                    LocalForm::OciDirectory => Form::OciDirectory,
                };
                let reference =
                    cache.import_pinned(&local.path, form, local.name.as_deref()).map_err(|source| {
                        BuildError::Image { spot: image_use.spot.clone(), source: source.into() }
                    })?;
                taken.insert(local.clone(), reference.clone());
                reference
            }
        };
        image_use.reference = reference.to_string();
    }
    Ok(())
}
