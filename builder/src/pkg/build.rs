//! Builds packages: from a directory to an image in the cache.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::PkgError;
use super::cargo::Workspace;
use super::context::copy;
use super::driver::{self, Driver, Job};
use super::graph::{self, Options, Package};
use super::scratch::Scratch;
use crate::image::{Cache, Reference};

/// How packages are built.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// How they are looked at.
    pub package: Options,
    /// Build also what the cache has, from the start.
    pub force: bool,
}

/// What becomes of one package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its Dockerfile is being run.
    Building,
    /// It was built and is in the cache now.
    Built,
    /// It was in the cache already.
    Cached,
}

/// Builds the packages in `dirs` and all that they need; `tell` hears what becomes of each.
///
/// # Errors
/// With the first package that fails; those before it stay in the cache.
pub fn build(
    dirs: &[PathBuf],
    options: &BuildOptions,
    cache: &Cache,
    arch: &str,
    tell: &mut dyn FnMut(&Package, Outcome),
) -> Result<(), PkgError> {
    let packages = graph::resolve(dirs, &options.package)?;
    let mut wanted = Vec::new();
    for package in &packages {
        let reference = package.reference.parse::<Reference>()?;
        // What git doesn't know has no hash: whether the cache holds the same sources can't be told.
        let known = !package.reference.ends_with(":latest");
        if !options.force && known && cache.resolve(&reference, arch)?.is_some() {
            tell(package, Outcome::Cached);
        } else {
            wanted.push((package, reference));
        }
    }
    let binaries = compile(&wanted.iter().map(|(p, _)| *p).collect::<Vec<_>>())?;
    let driver = driver::all()[0];
    let references: HashMap<&Path, &str> =
        packages.iter().map(|p| (p.dir.as_path(), p.reference.as_str())).collect();
    for (package, reference) in &wanted {
        tell(package, Outcome::Building);
        one(package, reference, options, driver, cache, &binaries, &references)?;
        tell(package, Outcome::Built);
    }
    Ok(())
}

/// One cargo run for the binaries of all packages.
fn compile(packages: &[&Package]) -> Result<HashMap<String, PathBuf>, PkgError> {
    let names: BTreeSet<String> = packages.iter().flat_map(|p| p.manifest.cargo.iter().cloned()).collect();
    match packages.iter().find(|p| !p.manifest.cargo.is_empty()) {
        Some(first) => Workspace::around(&first.dir)?.build(&names),
        None => Ok(HashMap::new()),
    }
}

fn one(
    package: &Package,
    reference: &Reference,
    options: &BuildOptions,
    driver: &dyn Driver,
    cache: &Cache,
    binaries: &HashMap<String, PathBuf>,
    references: &HashMap<&Path, &str>,
) -> Result<(), PkgError> {
    let manifest = &package.manifest;
    let scratch = Scratch::new(cache.dir())?;
    let context = scratch.path().join("context");
    copy(&package.dir, &context)?;
    for extra in &manifest.extra_sources {
        copy(&package.dir.join(&extra.from), &context.join(&extra.to))?;
    }
    for name in &manifest.cargo {
        let binary = binaries.get(name).map_or_else(|| Path::new(name), PathBuf::as_path);
        copy(binary, &context.join("bin").join(name))?;
    }
    let mut args = Vec::new();
    for arg in &manifest.build_args {
        if let Some((key, value)) = arg.split_once('=').filter(|(_, v)| !v.starts_with('@')) {
            args.push((key.to_string(), value.to_string()));
        }
    }
    let mut needs = Vec::new();
    for (key, dir) in &package.needs {
        let dir = dir.canonicalize().map_err(PkgError::io("opening", dir))?;
        let needed = references.get(dir.as_path()).copied().unwrap_or_default();
        needs.push((key.clone(), needed.parse::<Reference>()?.to_string()));
    }
    let layout = scratch.path().join("image");
    let job = Job {
        context: &context,
        dockerfile: &context.join(&manifest.dockerfile),
        reference: &package.reference,
        args: &args,
        needs: &needs,
        images: cache.dir(),
        labels: &labels(package),
        network: manifest.network,
        cache: !(manifest.disable_cache || options.force),
    };
    driver.build(&job, &layout)?;
    cache.import(&layout, Some(reference))?;
    Ok(())
}

/// Only what the content hash covers: the same tag must be the same image on every machine.
fn labels(package: &Package) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    if let Some(config) = &package.manifest.config {
        labels.push(("org.mobyproject.config".to_string(), config.to_string()));
    }
    if let Some(repository) = &package.manifest.gitrepo {
        labels.push(("org.opencontainers.image.source".to_string(), repository.clone()));
    }
    labels
}
