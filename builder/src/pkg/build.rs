//! Builds packages: from a directory to an image in the cache.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::PkgError;
use super::cargo::Workspace;
use super::depends::Supply;
use super::driver::{self, Workers};
use super::graph::{self, Options, Package};
use super::hash::{HEAD, UNVERSIONED};
use super::job::{All, Place};
use super::steps::{Id, Steps};
use crate::image::registry::Former;
use crate::image::{Cache, ImageError, Reference};

/// The architecture of binaries that [`super::cargo`] makes.
const CARGO_ARCH: &str = "amd64";

/// How packages are built.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// How they are looked at.
    pub package: Options,
    /// For what they are built, in Go's words.
    pub arches: Vec<String>,
    /// This machine's architecture.
    pub host: String,
    /// Who builds.
    pub workers: Workers,
    /// What becomes of what is there already.
    pub existing: Existing,
    /// Whether they may use the network, instead of what the manifests say.
    pub network: Option<bool>,
    /// Whether steps that were built before may be used again, instead of what the manifests say.
    pub cache: Option<bool>,
    /// Whether a list of the software in each image goes with it.
    pub sbom: bool,
    /// Whether images of others are asked for again that are there already.
    pub fresh: bool,
    /// Whether images of others come through the cache, even if the builder could bring them itself.
    pub precache: bool,
    /// What programs may use of this machine's SSH agent and keys.
    pub ssh: Vec<String>,
    /// Whether what builds print is shown while they go on.
    pub shown: bool,
    /// How many packages are built at the same time, and at least one.
    pub jobs: usize,
}

/// What becomes of an image that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// What the cache has is not built.
    #[default]
    Kept,
    /// What a registry has is not built either, but pulled.
    Pulled,
    /// What a registry has is not built either, and stays there.
    Published,
    /// Everything is built, from the start.
    Rebuilt,
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
    /// It came from a registry.
    Pulled,
    /// It is in a registry, and not in the cache.
    Published,
}

/// What is told of builds.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    /// What becomes of a package for an architecture.
    Package(&'a Package, &'a str, Outcome),
    /// The binaries of this crate are being compiled.
    Compiling(&'a str),
    /// They are there; the compiler warns of this, if of anything.
    Compiled(&'a str, &'a str),
}

/// Who is told.
pub type Tell<'a> = dyn FnMut(Told<'_>) + Send + 'a;

/// Builds the packages in `dirs` and those that they take files of, several at the same time where the options say so. Says
/// which were named.
///
/// # Errors
/// When a package fails. No other begins then; those that were built until then, and those that were on their way, stay in the
/// cache.
pub fn build(
    dirs: &[PathBuf],
    options: &BuildOptions,
    supply: Supply<'_>,
    tell: &mut Tell<'_>,
) -> Result<Vec<Package>, PkgError> {
    let packages = graph::resolve(dirs, &options.package)?;
    let (named, selected) = select(dirs, &packages)?;
    let mut wanted = Vec::new();
    for package in selected {
        check(package, options)?;
        let mut arches = Vec::new();
        for arch in &options.arches {
            let is_needed = packages.iter().any(|other| other.needs.contains(&package.dir));
            match existing(package, arch, is_needed, options, supply)? {
                Some(outcome) => tell(Told::Package(package, arch, outcome)),
                None => arches.push(arch.as_str()),
            }
        }
        wanted.push((package, arches));
    }
    wanted.retain(|(_, arches)| !arches.is_empty());
    let compiled = Compiled::of(wanted.iter().map(|(package, _)| *package))?;
    let binaries = compiled.places();
    let all = All::new(&packages, &binaries, options, supply);

    let tell = Mutex::new(tell);
    let tell = |told: Told<'_>| (tell.lock().unwrap_or_else(PoisonError::into_inner))(told);
    let mut steps = Steps::new();
    let with = compiled.steps(&mut steps, options.shown, &tell);
    let mut built: HashMap<&Path, Id> = HashMap::new();
    for (package, arches) in wanted {
        let programs = package.manifest.cargo.iter().filter_map(|name| with.get(name.as_str()));
        let needed = package.needs.iter().filter_map(|dir| built.get(dir.as_path()));
        let after = programs.chain(needed).copied().collect();
        let (all, tell) = (&all, &tell);
        let step = steps.add(after, move || {
            for arch in arches {
                tell(Told::Package(package, arch, Outcome::Building));
                all.build(package, arch)?;
                tell(Told::Package(package, arch, Outcome::Built));
            }
            Ok(())
        });
        built.insert(&package.dir, step);
    }
    steps.run(options.jobs).map_err(PkgError::several)?;
    Ok(named)
}

/// The commands that builds of the packages in `dirs` amount to.
///
/// # Errors
/// As [`build`], before anything is built.
pub fn commands(
    dirs: &[PathBuf],
    options: &BuildOptions,
    supply: Supply<'_>,
) -> Result<Vec<String>, PkgError> {
    let packages = graph::resolve(dirs, &options.package)?;
    let mut commands = Vec::new();
    for package in select(dirs, &packages)?.1 {
        let dockerfile = check(package, options)?;
        for arch in &options.arches {
            let none = HashMap::new();
            let all = All::new(&packages, &none, options, supply);
            let file = package.dir.join(&package.manifest.dockerfile);
            let place = Place {
                context: &package.dir,
                images: supply.cache.dir(),
                file: &file,
                dockerfile: &dockerfile,
            };
            all.job(package, arch, place, &[], |job| {
                commands.push(driver::equivalent(&job, &package.dir));
                Ok(())
            })?;
        }
    }
    Ok(commands)
}

/// The packages that were named, and those with all that they take files of.
fn select<'p>(
    dirs: &[PathBuf],
    packages: &'p [Package],
) -> Result<(Vec<Package>, Vec<&'p Package>), PkgError> {
    let mut named = Vec::new();
    for dir in dirs {
        let dir = dir.canonicalize().map_err(PkgError::io("opening", dir))?;
        named.extend(packages.iter().find(|package| package.dir == dir).cloned());
    }
    let mut wanted: BTreeSet<&Path> = BTreeSet::new();
    let mut open: Vec<&Path> = named.iter().map(|package| package.dir.as_path()).collect();
    while let Some(dir) = open.pop() {
        let Some(package) = packages.iter().find(|package| package.dir == dir) else { continue };
        if wanted.insert(&package.dir) {
            open.extend(package.needs.iter().map(PathBuf::as_path));
        }
    }
    let selected = packages.iter().filter(|package| wanted.contains(package.dir.as_path())).collect();
    Ok((named, selected))
}

/// Finds what cannot be built before anything is; returns the text of the Dockerfile.
fn check(package: &Package, options: &BuildOptions) -> Result<String, PkgError> {
    let name = || package.reference.clone();
    let commit = &options.package.state.commit;
    if commit != HEAD {
        return Err(PkgError::OtherCommit { package: name(), commit: commit.clone() });
    }
    for arch in &options.arches {
        let refused = |reason| Err(PkgError::Arch { package: name(), arch: arch.clone(), reason });
        if !package.manifest.arches.contains(arch) {
            return refused(format!("`arches` in its build.yml has {}", package.manifest.arches.join(", ")));
        }
        if arch != CARGO_ARCH && !package.manifest.cargo.is_empty() {
            return refused(format!(
                "the binaries that `cargo` in its build.yml names are made for {CARGO_ARCH} alone"
            ));
        }
    }
    let file = package.dir.join(&package.manifest.dockerfile);
    std::fs::read_to_string(&file).map_err(|source| PkgError::NoDockerfile { package: name(), file, source })
}

/// What is there of a package, if that is as good as building it.
fn existing(
    package: &Package,
    arch: &str,
    is_needed: bool,
    options: &BuildOptions,
    supply: Supply<'_>,
) -> Result<Option<Outcome>, PkgError> {
    // What git doesn't know has no hash: whether somebody has the same sources can't be told.
    let unknown = package.hash.text == UNVERSIONED && options.package.hash.is_none();
    if options.existing == Existing::Rebuilt || unknown {
        return Ok(None);
    }
    let reference: Reference = package.reference.parse()?;
    if is_cached(supply.cache, &reference, arch)? {
        return Ok(Some(Outcome::Cached));
    }
    // Nobody else has what was changed here.
    if options.existing == Existing::Kept || package.hash.dirty {
        return Ok(None);
    }
    if !supply.registries.arches_of(&reference)?.iter().any(|there| there == arch) {
        return Ok(None);
    }
    // Whoever takes files of it needs it here.
    if options.existing == Existing::Published && !is_needed {
        return Ok(Some(Outcome::Published));
    }
    supply.registries.pull(supply.cache, &reference, arch, Former::Kept)?;
    Ok(Some(Outcome::Pulled))
}

/// Whether the cache has an image for an architecture, with all its layers.
pub(super) fn is_cached(cache: &Cache, reference: &Reference, arch: &str) -> Result<bool, PkgError> {
    match cache.resolve(reference, arch) {
        Ok(image) => Ok(image.is_some_and(|image| cache.has_layers(&image))),
        Err(ImageError::Platform { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The binaries of packages, which are compiled.
#[derive(Default)]
struct Compiled {
    workspace: Option<Workspace>,
    crates: BTreeMap<String, Vec<String>>,
}

impl Compiled {
    /// Those of these packages.
    fn of<'p>(packages: impl Iterator<Item = &'p Package>) -> Result<Self, PkgError> {
        let packages: Vec<&Package> = packages.filter(|package| !package.manifest.cargo.is_empty()).collect();
        let Some(first) = packages.first() else { return Ok(Self::default()) };
        let workspace = Workspace::around(&first.dir)?;
        let crates =
            workspace.crates_of(&packages.iter().flat_map(|p| p.manifest.cargo.iter().cloned()).collect())?;
        Ok(Self { workspace: Some(workspace), crates })
    }

    /// Where each will be, by its name.
    fn places(&self) -> HashMap<String, PathBuf> {
        let Some(workspace) = &self.workspace else { return HashMap::new() };
        self.crates.values().flatten().map(|name| (name.clone(), workspace.made(name))).collect()
    }

    /// Adds the steps that compile them, and says for each after which it is there.
    fn steps<'a>(
        &'a self,
        steps: &mut Steps<'a, PkgError>,
        shown: bool,
        tell: &'a (dyn Fn(Told<'_>) + Sync),
    ) -> HashMap<&'a str, Id> {
        let (mut with, mut last) = (HashMap::new(), None);
        let Some(workspace) = &self.workspace else { return with };
        for (name, binaries) in &self.crates {
            // One after the other: cargo locks the directory that it compiles in.
            let step = steps.add(last.into_iter().collect(), move || {
                tell(Told::Compiling(name));
                let warnings = workspace.compile(name, binaries, shown)?;
                tell(Told::Compiled(name, &warnings));
                Ok(())
            });
            with.extend(binaries.iter().map(|binary| (binary.as_str(), step)));
            last = Some(step);
        }
        with
    }
}
