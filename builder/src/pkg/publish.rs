//! From the cache to a registry: tags by content, and releases.

use super::PkgError;
use super::depends::Supply;
use super::git::WorkTree;
use super::graph::Package;
use super::hash::HEAD;
use crate::image::registry::{Published, Publishing, Registries};
use crate::image::{Digest, Reference};

/// Finds out whether a package may be pushed.
///
/// # Errors
/// When git does not have its sources as they are.
pub fn check(package: &Package) -> Result<(), PkgError> {
    match package.hash.dirty {
        true => Err(PkgError::Dirty(package.reference.clone())),
        false => Ok(()),
    }
}

/// Whether the cache has a package, for whatever architecture.
///
/// # Errors
/// When the cache cannot be read.
pub fn is_here(package: &Package, supply: Supply<'_>) -> Result<bool, PkgError> {
    let name = package.reference.parse::<Reference>()?.to_string();
    Ok(supply.cache.list()?.iter().any(|listed| listed.name == name))
}

/// What a package is released as: what is asked for, else git's tag of the commit, if it has one.
///
/// # Errors
/// When git fails, or has several tags for it.
pub fn release_of(package: &Package, asked: Option<&str>) -> Result<Option<String>, PkgError> {
    if let Some(asked) = asked {
        return Ok(Some(asked.into()));
    }
    let Some(tree) = WorkTree::around(&package.dir)? else { return Ok(None) };
    let mut tags = tree.tags(HEAD)?;
    match tags.len() {
        0 | 1 => Ok(tags.pop()),
        _ => Err(PkgError::SeveralReleases { package: package.reference.clone(), tags }),
    }
}

/// Puts a package into its registry, by its tag and, if it is released, as that. Returns what each of these names means
/// there.
///
/// # Errors
/// When git does not have its sources, the cache does not have the image, the release has another image already, or the
/// registry does not take it.
pub fn publish(
    package: &Package,
    release: Option<&str>,
    index: bool,
    supply: Supply<'_>,
) -> Result<Vec<(Reference, Digest)>, PkgError> {
    check(package)?;
    let Supply { cache, registries } = supply;
    let reference: Reference = package.reference.parse()?;
    let release = release.map(|tag| release_name(package, tag)).transpose()?;
    if let Some(release) = &release
        && let Some((digest, arch)) = registries.rival(cache, &reference, release)?
    {
        return Err(released(package, release, digest, arch));
    }
    let mut names = Vec::new();
    for (name, replace) in [(Some(reference.clone()), true), (release, false)] {
        let Some(name) = name else { continue };
        match registries.publish(cache, &reference, &name, Publishing { index, replace })? {
            Published::Sent { digest, .. } => names.push((name, digest)),
            Published::Kept { digest, arch } => return Err(released(package, &name, digest, arch)),
        }
    }
    Ok(names)
}

/// Makes a package's tag, and its release's, an index of all architectures that the registry has.
///
/// # Errors
/// When it has none, what the index would name is gone, or the registry does not take it.
pub fn join(
    package: &Package,
    release: Option<&str>,
    registries: &Registries,
) -> Result<Vec<(Reference, Digest)>, PkgError> {
    let mut names = vec![package.reference.parse()?];
    if let Some(release) = release {
        check(package)?;
        names.push(release_name(package, release)?);
    }
    names
        .into_iter()
        .map(|name| registries.join(&name).map(|digest| (name, digest)).map_err(PkgError::from))
        .collect()
}

fn release_name(package: &Package, tag: &str) -> Result<Reference, PkgError> {
    Ok(format!("{}:{tag}", package.name).parse()?)
}

fn released(package: &Package, release: &Reference, digest: Digest, arch: String) -> PkgError {
    PkgError::Released { package: package.reference.clone(), release: release.to_string(), digest, arch }
}
