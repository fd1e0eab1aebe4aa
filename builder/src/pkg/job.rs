//! One package for one architecture: its build context, what a driver is told, and what becomes of what it makes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::PkgError;
use super::argument::Value;
use super::build::{BuildOptions, Existing, is_cached};
use super::context::copy;
use super::depends::{self, Supply};
use super::dockerfile::{images, takes_image};
use super::driver::{self, Base, Driver, Job, Need};
use super::graph::Package;
use super::local;
use super::scratch::Scratch;
use super::{facts, statement};
use crate::image::registry::Former;
use crate::image::{Cache, ImageError, Reference};
use crate::output::write_saved;

/// What builds of several packages have in common.
pub(super) struct All<'a> {
    /// All packages, so that their images are known by their directories.
    packages: &'a [Package],
    /// Where the binaries are that `cargo` makes, by their names.
    binaries: &'a HashMap<String, PathBuf>,
    options: &'a BuildOptions,
    supply: Supply<'a>,
    /// Held by builds that can't go on side by side.
    turn: Mutex<()>,
}

impl<'a> All<'a> {
    /// Builds of `packages`.
    pub(super) fn new(
        packages: &'a [Package],
        binaries: &'a HashMap<String, PathBuf>,
        options: &'a BuildOptions,
        supply: Supply<'a>,
    ) -> Self {
        Self { packages, binaries, options, supply, turn: Mutex::default() }
    }

    /// Builds a package for one architecture, into the cache.
    pub(super) fn build(&self, package: &Package, arch: &str) -> Result<(), PkgError> {
        let cache = self.supply.cache;
        let scratch = Scratch::new(cache.dir())?;
        let context = scratch.path().join("context");
        self.furnish(package, arch, &context)?;
        let file = context.join(&package.manifest.dockerfile);
        let dockerfile = std::fs::read_to_string(&file).map_err(PkgError::io("reading", &file))?;
        let out = scratch.path().join("image");
        let driver = driver::choose(&self.options.workers, arch, &self.options.host);
        // What one that has panicked leaves is not shared.
        let turn = || self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn = (!driver.builds_side_by_side()).then(turn);
        let bases = self.bases(package, arch, &dockerfile, &*driver, scratch.path())?;
        let images = scratch.path().join("images");
        std::os::unix::fs::symlink(cache.dir(), &images).map_err(PkgError::io("making", &images))?;
        let place = Place { context: &context, images: &images, file: &file, dockerfile: &dockerfile };
        self.job(package, arch, place, &bases, |job| driver.build(&job, &out))?;
        let reference: Reference = package.reference.parse()?;
        let built = cache.import_unnamed(&out, &reference, arch).map_err(|error| match error {
            ImageError::Platform { wanted, found, .. } => {
                PkgError::BuiltFor { package: package.reference.clone(), wanted, found }
            }
            error => error.into(),
        })?;
        let statements = match self.options.sbom {
            true => vec![statement::of(cache, built.image(), arch)?],
            false => Vec::new(),
        };
        Ok(built.name(&statements)?)
    }

    /// Fills the build context.
    fn furnish(&self, package: &Package, arch: &str, context: &Path) -> Result<(), PkgError> {
        let manifest = &package.manifest;
        copy(&package.dir, context)?;
        for extra in &manifest.extra_sources {
            copy(&package.dir.join(&extra.from), &context.join(&extra.to))?;
        }
        for name in &manifest.cargo {
            let binary = self.binaries.get(name).map_or_else(|| Path::new(name), PathBuf::as_path);
            copy(binary, &context.join("bin").join(name))?;
        }
        match &manifest.depends.docker_images {
            Some(images) => depends::provide(images, &package.dir, context, arch, self.supply),
            None => Ok(()),
        }
    }

    /// Says what a driver needs to know.
    pub(super) fn job(
        &self,
        package: &Package,
        arch: &str,
        place: Place<'_>,
        bases: &[Base],
        run: impl FnOnce(Job<'_>) -> Result<(), PkgError>,
    ) -> Result<(), PkgError> {
        let manifest = &package.manifest;
        let network = self.options.network.unwrap_or(manifest.network);
        let reference_of = |dir: &Path| {
            self.packages.iter().find(|other| other.dir == dir).map(|other| other.reference.clone())
        };
        let args = facts::arguments(package, place.dockerfile, reference_of, network)?;
        let needs = self.needs(package, arch, place.dockerfile)?;
        let forget = manifest.disable_cache || self.options.existing == Existing::Rebuilt;
        let save = |reference: &str, to: &Path| save(self.supply.cache, reference, reference, arch, to);
        run(Job {
            context: place.context,
            dockerfile: place.file,
            reference: &package.reference,
            arch,
            args: &args,
            needs: &needs,
            bases,
            images: place.images,
            save: &save,
            labels: &facts::labels(package),
            ssh: &self.options.ssh,
            network,
            cache: self.options.cache.unwrap_or(!forget),
            fresh: self.options.fresh,
            shown: self.options.shown,
        })
    }

    /// The images that a package takes files of.
    fn needs(&self, package: &Package, arch: &str, dockerfile: &str) -> Result<Vec<Need>, PkgError> {
        let mut needs = Vec::new();
        for argument in &package.arguments {
            let Value::Package(dir) = &argument.value else { continue };
            let Some(other) = self.packages.iter().find(|other| other.dir == *dir) else { continue };
            // What is only printed is no more than a name.
            if !takes_image(dockerfile, &argument.name) {
                continue;
            }
            let reference: Reference = other.reference.parse()?;
            let digest = match is_cached(self.supply.cache, &reference, arch)? {
                true => self.supply.cache.resolve(&reference, arch)?.map(|image| image.named),
                false => None,
            };
            let (argument, reference) = (argument.name.clone(), other.reference.clone());
            needs.push(Need { argument, reference, digest });
        }
        Ok(needs)
    }

    /// The images of others that a Dockerfile names and that the driver is handed, since it has no way of its own to them
    /// or is not to go it.
    fn bases(
        &self,
        package: &Package,
        arch: &str,
        dockerfile: &str,
        driver: &dyn Driver,
        scratch: &Path,
    ) -> Result<Vec<Base>, PkgError> {
        let given = |name: &str| {
            let argument = package.arguments.iter().find(|argument| argument.name == name)?;
            match &argument.value {
                Value::Text(text) => Some(text.clone()),
                // Those are handed over as what the package needs.
                Value::Package(_) => Some(String::new()),
            }
        };
        let Supply { cache, registries } = self.supply;
        let mut bases = Vec::new();
        for written in images(dockerfile, given) {
            let reference: Reference = written.parse()?;
            if !self.options.precache && !driver.lacks(&reference, self.options.fresh)? {
                continue;
            }
            if reference.registry() == local::REGISTRY {
                local::bring(&reference, arch, cache, scratch)?;
            } else if self.options.fresh || !is_cached(cache, &reference, arch)? {
                registries.pull(cache, &reference, arch, Former::Kept)?;
            }
            let digest = cache.resolve(&reference, arch)?.map(|image| image.named);
            bases.push(Base { reference, digest });
        }
        Ok(bases)
    }
}

/// Where a Dockerfile is run.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The build context.
    pub(super) context: &'a Path,
    /// The cache's directory.
    pub(super) images: &'a Path,
    /// The Dockerfile.
    pub(super) file: &'a Path,
    /// Its text.
    pub(super) dockerfile: &'a str,
}

/// Puts packages into the Docker engine: with the architecture in the tag, as LinuxKit has it, and without for this
/// machine's.
///
/// # Errors
/// When the cache does not have one, or the engine does not take it.
pub fn give_to_docker(packages: &[Package], options: &BuildOptions, cache: &Cache) -> Result<(), PkgError> {
    let scratch = Scratch::new(cache.dir())?;
    let archive = scratch.path().join("image");
    for package in packages {
        for arch in &options.arches {
            let own = (*arch == options.host).then(|| package.reference.clone());
            for called in [Some(format!("{}-{arch}", package.reference)), own].into_iter().flatten() {
                save(cache, &package.reference, &called, arch, &archive)?;
                driver::load(&archive, &called)?;
            }
        }
    }
    Ok(())
}

/// Writes an image to a file in the form of `docker save`.
fn save(cache: &Cache, reference: &str, called: &str, arch: &str, to: &Path) -> Result<(), PkgError> {
    let mut out = BufWriter::new(File::create(to).map_err(PkgError::io("writing", to))?);
    write_saved(cache, &[(reference.parse()?, called.parse()?)], arch, &mut out)?;
    out.flush().map_err(PkgError::io("writing", to))
}
