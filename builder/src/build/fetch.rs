//! The images that a configuration names, brought from their registries.

use crate::config::{Config, ImageUse, VolumeFormat};
use crate::image::registry::{Former, Registries};
use crate::image::{Cache, Fault, ImageError, Reference};
use crate::trust::{Doubt, Policy, Subject};

use super::{BuildError, MissingImage, UnpulledImage};

/// When registries are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// For what the cache does not have.
    Missing,
    /// For everything, since a tag may mean another image than it did.
    Always,
}

/// Brings the images of a configuration into the cache, for this architecture and for those that volumes want.
///
/// Those that must be signed come with their signatures; signatures in the cache that count are good enough.
///
/// Packages (`@pkg:`) are not asked for: what is in their directories is not what a registry has.
///
/// # Errors
/// When a package is not built, an image that must be signed cannot be checked, or an image is neither in the cache nor to be had. Those that no registry has are
/// all named; after another failure no more is asked.
pub fn fetch(
    config: &Config,
    cache: &Cache,
    arch: &str,
    registries: &Registries,
    when: When,
    trust: &Policy,
) -> Result<(), BuildError> {
    let wanted = wanted(config, arch)?;
    let unbuilt = unbuilt(&wanted, cache)?;
    if !unbuilt.is_empty() {
        return Err(BuildError::Missing(unbuilt));
    }
    let mut unpulled = Vec::new();
    for Wanted { image_use, reference, arch } in wanted.iter().filter(|it| it.image_use.is_pulled()) {
        let state = state(cache, reference, arch)
            .map_err(|source| BuildError::Image { spot: image_use.spot.clone(), source: source.into() })?;
        // What is named by its digest is never another one.
        let asks = when == When::Always && reference.digest().is_none();
        let former = match state {
            State::Present if !asks => continue,
            State::Present | State::Absent => Former::Replaced,
            State::OtherPlatform => Former::Kept,
        };
        match registries.pull(cache, reference, arch, former) {
            Ok(_) => {}
            Err(why) => {
                let goes_on = why.is_absence();
                let is_cached = state == State::Present;
                unpulled.push(UnpulledImage { spot: image_use.spot.clone(), why, is_cached });
                if !goes_on {
                    break;
                }
            }
        }
    }
    if !unpulled.is_empty() {
        return Err(BuildError::Pull(unpulled));
    }
    wanted.iter().try_for_each(|wanted| signatures(wanted, cache, registries, trust))
}

/// Brings the signatures of an image that must be signed, unless the cache has one that counts.
fn signatures(
    Wanted { image_use, reference, arch }: &Wanted<'_>,
    cache: &Cache,
    registries: &Registries,
    trust: &Policy,
) -> Result<(), BuildError> {
    if !trust.concerns(reference) {
        return Ok(());
    }
    let spot = || image_use.spot.clone();
    let found = cache
        .resolve(reference, arch)
        .map_err(|source| BuildError::Image { spot: spot(), source: source.into() })?;
    // What is missing altogether is told by who assembles.
    let Some(image) = found else { return Ok(()) };
    let digests = [image.named, image.digest];
    let Err(doubt) = trust.check(cache, Subject { reference, digests }) else { return Ok(()) };
    if matches!(doubt.doubt, Doubt::NoKey) {
        return Err(BuildError::Untrusted { spot: spot(), source: doubt });
    }
    let asked = if image.named == image.digest { &digests[..1] } else { &digests[..] };
    for digest in asked {
        if let Err(source) = registries.pull_signatures(cache, reference, *digest) {
            return Err(BuildError::Signatures { spot: spot(), doubt, source: Box::new(source) });
        }
        if trust.check(cache, Subject { reference, digests }).is_ok() {
            break;
        }
    }
    Ok(())
}

/// One image for one architecture.
struct Wanted<'a> {
    image_use: &'a ImageUse,
    reference: Reference,
    arch: String,
}

/// What the cache has of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Present,
    /// Nothing, or a name whose blobs are those of another platform.
    Absent,
    /// An image that is for other platforms only.
    OtherPlatform,
}

/// Every image of the configuration once for each architecture that it is needed for.
fn wanted<'a>(config: &'a Config, arch: &str) -> Result<Vec<Wanted<'a>>, BuildError> {
    let everything = config.images().map(|image| (image, arch.to_owned()));
    let volumes = config.volumes.iter().filter(|volume| volume.format == VolumeFormat::Oci);
    let of_volumes = volumes.flat_map(|volume| {
        let arch_of = |platform: &String| {
            let name = platform.strip_prefix("linux/").unwrap_or(platform);
            name.split('/').next().unwrap_or(name).to_owned()
        };
        let image = volume.image.iter();
        image.flat_map(move |image| volume.platforms.iter().map(move |platform| (image, arch_of(platform))))
    });
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    for (image_use, arch) in everything.chain(of_volumes) {
        let reference: Reference = image_use
            .reference
            .parse()
            .map_err(|source| BuildError::Reference { spot: image_use.spot.clone(), source })?;
        match wanted.iter_mut().find(|other| other.reference == reference && other.arch == arch) {
            None => wanted.push(Wanted { image_use, reference, arch }),
            // A package is one even where it is written out.
            Some(other) if image_use.is_package => other.image_use = image_use,
            Some(_) => {}
        }
    }
    Ok(wanted)
}

/// The packages that the cache does not have.
fn unbuilt(wanted: &[Wanted<'_>], cache: &Cache) -> Result<Vec<MissingImage>, BuildError> {
    let mut unbuilt = Vec::new();
    for Wanted { image_use, reference, arch } in wanted.iter().filter(|it| it.image_use.is_package) {
        let found = cache
            .resolve(reference, arch)
            .map_err(|source| BuildError::Image { spot: image_use.spot.clone(), source: source.into() })?;
        if found.is_none() {
            unbuilt.push(MissingImage { image: reference.to_string(), spot: image_use.spot.clone() });
        }
    }
    Ok(unbuilt)
}

fn state(cache: &Cache, reference: &Reference, arch: &str) -> Result<State, ImageError> {
    match cache.resolve(reference, arch) {
        Ok(Some(image)) if cache.has_layers(&image) => Ok(State::Present),
        // Of an index, only those platforms are there that were asked for, and not all of one whose pull broke off.
        Ok(Some(_) | None) | Err(ImageError::Damaged { fault: Fault::Missing, .. }) => Ok(State::Absent),
        Err(ImageError::Platform { .. }) => Ok(State::OtherPlatform),
        Err(error) => Err(error),
    }
}
