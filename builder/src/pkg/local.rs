//! Images whose names were given on this machine, `localhost/…`: no registry has them, and BuildKit does not see what
//! buildah has.

use std::path::Path;

use super::PkgError;
use super::build::is_cached;
use super::driver;
use crate::image::{Cache, ImageError, Reference};

/// The registry of such names.
pub(super) const REGISTRY: &str = "localhost";

/// Brings what buildah calls so into the cache, which may have it from an earlier build. `scratch` is a directory.
///
/// # Errors
/// When nobody has it.
pub(super) fn bring(image: &Reference, arch: &str, cache: &Cache, scratch: &Path) -> Result<(), PkgError> {
    let Some(id) = driver::stored(image)? else {
        return match is_cached(cache, image, arch)? {
            true => Ok(()),
            false => Err(PkgError::Nowhere(image.to_string())),
        };
    };
    let known = match cache.id(image, arch) {
        Ok(known) => known,
        Err(ImageError::Platform { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if known.is_some_and(|known| known.hex() == id) && is_cached(cache, image, arch)? {
        return Ok(());
    }
    let layout = scratch.join("local");
    driver::export(image, &layout)?;
    cache.import(&layout, Some(image))?;
    std::fs::remove_dir_all(&layout).map_err(PkgError::io("removing", &layout))
}
