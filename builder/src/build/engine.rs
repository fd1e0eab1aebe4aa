//! Images that the Docker engine has: taken into the cache before registries are asked.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::image::engine::{Engine, EngineError};
use crate::image::{Cache, Reference};

use super::BuildError;

/// Takes those images of a configuration that the engine has for this architecture into the cache, and has the
/// configuration name them by what they are. The others are left as they are, as are images by digest: what the engine
/// gives has another one. `tell` is told what is transferred.
///
/// # Errors
/// When the engine cannot be asked, or what it gives is no image.
pub fn take_from_engine(
    config: &mut Config,
    cache: &Cache,
    engine: &Engine,
    arch: &str,
    tell: &mut dyn FnMut(&Reference),
) -> Result<(), BuildError> {
    let mut taken: BTreeMap<Reference, Option<Reference>> = BTreeMap::new();
    for image_use in config.images_mut().filter(|image_use| image_use.local.is_none()) {
        let reference: Reference = image_use
            .reference
            .parse()
            .map_err(|source| BuildError::Reference { spot: image_use.spot.clone(), source })?;
        if reference.digest().is_some() {
            continue;
        }
        let found = match taken.get(&reference) {
            Some(found) => found.clone(),
            None => {
                let found = take(cache, engine, &reference, arch, tell).map_err(|source| {
                    BuildError::Engine { spot: image_use.spot.clone(), source: source.into() }
                })?;
                taken.insert(reference, found.clone());
                found
            }
        };
        if let Some(found) = found {
            image_use.reference = found.to_string();
        }
    }
    Ok(())
}

fn take(
    cache: &Cache,
    engine: &Engine,
    reference: &Reference,
    arch: &str,
    tell: &mut dyn FnMut(&Reference),
) -> Result<Option<Reference>, EngineError> {
    let Some(stored) = engine.find(reference)? else { return Ok(None) };
    if stored.os != "linux" || stored.architecture != arch {
        return Ok(None);
    }
    if let Some(known) = engine.taken(cache, reference, &stored)? {
        return Ok(Some(known));
    }
    tell(reference);
    engine.take(cache, reference, &stored).map(Some)
}
