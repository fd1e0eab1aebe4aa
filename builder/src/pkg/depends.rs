//! Images of others in the build context (`depends.docker-images`), as `docker save` writes them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::PkgError;
use super::manifest::DockerImages;
use crate::image::registry::{Former, Registries};
use crate::image::{Cache, Reference};
use crate::output::write_saved;

/// Most bytes of a file that lists images.
const MAX_LIST: u64 = 1 << 20;

/// Where images come from.
#[derive(Debug, Clone, Copy)]
pub struct Supply<'a> {
    /// Those that are there.
    pub cache: &'a Cache,
    /// The others.
    pub registries: &'a Registries,
}

/// Writes images for one architecture into the build context; those that the cache lacks are pulled. `dir` is the package.
///
/// # Errors
/// When the list of images can't be read, or an image is nowhere.
pub fn provide(
    images: &DockerImages,
    dir: &Path,
    context: &Path,
    arch: &str,
    supply: Supply<'_>,
) -> Result<(), PkgError> {
    let mut saved = Vec::new();
    for text in listed(images, dir)? {
        let reference: Reference = text.parse()?;
        let is_there = match supply.cache.resolve(&reference, arch) {
            Ok(found) => found.is_some_and(|image| supply.cache.has_layers(&image)),
            Err(crate::image::ImageError::Platform { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        if !is_there {
            supply.registries.pull(supply.cache, &reference, arch, Former::Kept)?;
        }
        let called = format!("{}:{}", reference.name(), reference.tag().unwrap_or("latest")).parse()?;
        saved.push((reference, called));
    }
    if let Some(target) = &images.target {
        write(&context.join(target), &saved, arch, supply.cache)?;
    }
    if let Some(target) = &images.target_dir {
        for image in &saved {
            let repository = image.0.repository();
            let name = repository.rsplit('/').next().unwrap_or(repository);
            let digest = image.0.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
            let file = context.join(target).join(format!("{name}{digest}.tar"));
            write(&file, std::slice::from_ref(image), arch, supply.cache)?;
        }
    }
    Ok(())
}

fn write(file: &Path, images: &[(Reference, Reference)], arch: &str, cache: &Cache) -> Result<(), PkgError> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).map_err(PkgError::io("making", parent))?;
    }
    let mut out = BufWriter::new(File::create(file).map_err(PkgError::io("writing", file))?);
    write_saved(cache, images, arch, &mut out)?;
    out.flush().map_err(PkgError::io("writing", file))
}

/// The references, each with a digest.
fn listed(images: &DockerImages, dir: &Path) -> Result<Vec<String>, PkgError> {
    let Some(name) = &images.from_file else { return Ok(images.list.clone()) };
    let file: PathBuf = dir.join(name);
    let size = fs::metadata(&file).map_err(PkgError::io("reading", &file))?.len();
    let wrong = |message: String| PkgError::Manifest { file: file.clone(), message };
    if size > MAX_LIST {
        return Err(wrong(format!("{size} bytes are too many for a list of images (at most {MAX_LIST})")));
    }
    let text = fs::read_to_string(&file).map_err(PkgError::io("reading", &file))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let list: Vec<String> = lines.map(String::from).collect();
    for line in &list {
        if line.parse::<Reference>()?.digest().is_none() {
            return Err(wrong(format!("{line} has no digest; write NAME@sha256:…")));
        }
    }
    Ok(list)
}
