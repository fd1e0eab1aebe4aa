//! `lkb pkg build` and `lkb pkg push`.

pub mod workers;

use std::path::PathBuf;

use super::naming::Naming;
use crate::cli::{Context, Outcome, SUCCESS, host_arch};
use crate::event::{Event, Work};
use crate::pkg::build::{self, BuildOptions, Existing, Outcome as Became, Told};
use crate::pkg::depends::Supply;
use crate::pkg::graph::Package;
use crate::pkg::{argument, graph, job, publish};

/// Why a command fails.
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Packages, and the architectures that they are built for.
type Group = (Vec<PathBuf>, Vec<String>);
/// A package's name, and what it is released as.
type Release = (String, Option<String>);

/// Most packages that are built at the same time.
const MAX_JOBS: i64 = 256;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Build even what the cache or the registry has
    #[arg(long)]
    force: bool,

    /// Pull what the registry has instead of building it
    #[arg(long, conflicts_with = "force")]
    pull: bool,

    /// Put the packages into their registries, too
    #[arg(long)]
    pub push: bool,

    /// Build nothing: push what the cache has
    #[arg(long, conflicts_with_all = ["force", "pull"])]
    nobuild: bool,

    /// For which platforms [default: this machine's, and those that a builder is named for]
    #[arg(long, value_name = "linux/ARCH,…", value_delimiter = ',', conflicts_with = "skip_platforms")]
    platforms: Vec<String>,

    /// For all platforms that build.yml has, but for these
    #[arg(long, value_name = "linux/ARCH,…", value_delimiter = ',')]
    skip_platforms: Vec<String>,

    /// Build with the BuildKit of the Docker engine, and put the images into the engine, too
    #[arg(long)]
    docker: bool,

    #[command(flatten)]
    workers: workers::Builders,

    /// The Dockerfile in the package, instead of that in build.yml
    #[arg(long, value_name = "FILE", value_parser = inside)]
    dockerfile: Option<String>,

    /// A file of build arguments, NAME=VALUE in each line, which override those of build.yml; repeatable
    #[arg(long, value_name = "FILE")]
    build_arg_file: Vec<PathBuf>,

    /// What programs in a build may use of the SSH agent or of keys, as `docker buildx build` takes it; repeatable
    #[arg(long, value_name = "ID[=SOCKET|KEY]")]
    ssh: Vec<String>,

    /// Ask registries again for images that a Dockerfile names, even if the builder has them
    #[arg(long)]
    ignore_cached: bool,

    /// Bring images that a Dockerfile names into the cache first, and build with those
    #[arg(long)]
    precache_images: bool,

    /// `false` leaves out the list of software that goes with each image; lkb makes it itself
    #[arg(long, value_name = "false", default_value = "", hide_default_value = true, value_parser = scanner,
          num_args = 1)]
    sbom_scanner: String,

    /// Push them as this release, too [default: git's tag of the commit]
    #[arg(long, value_name = "TAG")]
    release: Option<String>,

    /// Whether the tag becomes an index of all architectures
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set)]
    manifest: bool,

    /// `plain` shows what builds print while they go on, and builds one package at a time
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = ["auto", "plain", "tty"])]
    progress: String,

    /// How many packages that do not need each other are built at the same time [default: as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_JOBS))]
    jobs: Option<u16>,

    /// Build nothing, and print the commands that builds with Docker would be
    #[arg(long)]
    dry_run: bool,

    /// The packages' directories
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
}

fn inside(text: &str) -> Result<String, String> {
    crate::config::inside(text).map(|()| text.to_owned())
}

fn scanner(text: &str) -> Result<String, String> {
    match text {
        "" | "false" => Ok(text.into()),
        _ => Err("lkb lists the software itself, and runs no scanner; leave the option out, or give `false`"
            .into()),
    }
}

pub fn run(options: &Options, naming: &Naming, push: bool, context: &Context) -> Outcome {
    if !push && (options.nobuild || options.release.is_some()) {
        return Err("--nobuild and --release are for pushing; add --push".into());
    }
    let mut how = build_options(options, naming, push)?;
    let (cache, registries) = (context.cache()?, context.registries()?);
    let supply = Supply { cache: &cache, registries: &registries };
    let releases = if push { releases(options, &how)? } else { Vec::new() };
    // What gets another name must be here.
    let is_wanted = options.docker || releases.iter().any(|(_, release)| release.is_some());
    if is_wanted && how.existing == Existing::Published {
        how.existing = Existing::Pulled;
    }
    for (dirs, arches) in by_platforms(options, &how)? {
        let how = BuildOptions { arches, ..how.clone() };
        if options.dry_run {
            for command in build::commands(&dirs, &how, supply)? {
                context.terminal.print(command)?;
            }
            continue;
        }
        let packages = match options.nobuild {
            true => named(&dirs, &how)?,
            false => build(&dirs, &how, supply, context)?,
        };
        if options.docker {
            job::give_to_docker(&packages, &how, supply.cache)?;
        }
        if push {
            for package in &packages {
                let release = releases.iter().find(|(name, _)| *name == package.reference);
                let release = release.and_then(|(_, release)| release.as_deref());
                push_one(package, release, options, supply, context)?;
            }
        }
    }
    SUCCESS
}

fn build_options(options: &Options, naming: &Naming, push: bool) -> Result<BuildOptions, Failure> {
    let mut package = naming.look()?;
    package.dockerfile.clone_from(&options.dockerfile);
    for file in &options.build_arg_file {
        let more = argument::read_file(file, package.look())?;
        argument::override_with(&mut package.arguments, &more);
    }
    let mut workers = options.workers.choose()?;
    if options.docker {
        workers = workers.or_engine();
    }
    let existing = match (options.force, options.pull, push) {
        (true, ..) => Existing::Rebuilt,
        (false, true, _) => Existing::Pulled,
        (false, false, true) => Existing::Published,
        (false, false, false) => Existing::Kept,
    };
    Ok(BuildOptions {
        package,
        arches: workers::arches(&options.platforms, &workers)?,
        host: host_arch().into(),
        workers,
        existing,
        network: naming.network(),
        cache: naming.cache(),
        sbom: options.sbom_scanner != "false",
        fresh: options.ignore_cached,
        precache: options.precache_images,
        ssh: options.ssh.clone(),
        shown: options.progress == "plain",
        jobs: jobs(options)?,
    })
}

/// How many packages are built at the same time: what two builds print could not be told apart.
fn jobs(options: &Options) -> Result<usize, Failure> {
    match (options.jobs, options.progress == "plain") {
        (Some(2..), true) => {
            Err("--progress plain shows one build at a time; leave it out, or say --jobs 1".into())
        }
        (Some(jobs), _) => Ok(jobs.into()),
        (None, true) => Ok(1),
        (None, false) => Ok(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
    }
}

/// Which packages are built for what. Where platforms are skipped, each package says itself which it has.
fn by_platforms(options: &Options, how: &BuildOptions) -> Result<Vec<Group>, Failure> {
    if options.skip_platforms.is_empty() {
        return Ok(vec![(options.dirs.clone(), how.arches.clone())]);
    }
    let mut skipped = Vec::new();
    for platform in &options.skip_platforms {
        skipped.push(workers::arch(platform)?);
    }
    let mut built = Vec::new();
    for package in named(&options.dirs, how)? {
        let arches = package.manifest.arches.iter().filter(|arch| !skipped.contains(arch));
        built.push((vec![package.dir.clone()], arches.cloned().collect()));
    }
    Ok(built)
}

fn named(dirs: &[PathBuf], how: &BuildOptions) -> Result<Vec<Package>, Failure> {
    let mut named = Vec::new();
    for dir in dirs {
        named.extend(graph::resolve(std::slice::from_ref(dir), &how.package)?.pop());
    }
    Ok(named)
}

/// Finds what may not be pushed before anything is built: each package's name with its release.
fn releases(options: &Options, how: &BuildOptions) -> Result<Vec<Release>, Failure> {
    let mut releases = Vec::new();
    for package in named(&options.dirs, how)? {
        publish::check(&package)?;
        let release = publish::release_of(&package, options.release.as_deref())?;
        releases.push((package.reference, release));
    }
    Ok(releases)
}

fn build(
    dirs: &[PathBuf],
    how: &BuildOptions,
    supply: Supply<'_>,
    context: &Context,
) -> Result<Vec<Package>, Failure> {
    let mut said = Ok(());
    let several = how.arches.len() > 1;
    let packages = build::build(dirs, how, supply, &mut |told| match told {
        Told::Compiling(name) => started(Work::Compile, name, how, context),
        Told::Compiled(name, warnings) => {
            finished(Work::Compile, name, context);
            if !warnings.is_empty() {
                context.terminal.note(warnings);
            }
        }
        Told::Package(package, arch, outcome) => {
            let name = match several {
                true => format!("{} for linux/{arch}", package.reference),
                false => package.reference.clone(),
            };
            match outcome {
                Became::Building => started(Work::Package, &name, how, context),
                Became::Cached => context.terminal.detail(format_args!("{name} is in the cache")),
                Became::Pulled => context.terminal.detail(format_args!("{name} is in the cache now")),
                Became::Published => context.terminal.detail(format_args!("{name} is in the registry")),
                Became::Built => {
                    finished(Work::Package, &name, context);
                    // Each is told once, when it is there for all.
                    if how.arches.last().is_some_and(|last| last == arch) && said.is_ok() {
                        said = context.terminal.print(&package.reference);
                    }
                }
            }
        }
    })?;
    said?;
    Ok(packages)
}

fn started(work: Work, name: &str, how: &BuildOptions, context: &Context) {
    context.terminal.tell(Event::Started { work, name });
    // What does it says so on the terminal itself.
    if how.shown {
        context.terminal.clear();
    }
}

fn finished(work: Work, name: &str, context: &Context) {
    context.terminal.tell(Event::Finished { work, name, bytes: None, digest: None });
}

fn push_one(
    package: &Package,
    release: Option<&str>,
    options: &Options,
    supply: Supply<'_>,
    context: &Context,
) -> Result<(), Failure> {
    if !options.nobuild && release.is_none() && !publish::is_here(package, supply)? {
        context.terminal.note(format_args!("{} is in the registry, and not in the cache", package.reference));
        return Ok(());
    }
    for (name, digest) in publish::publish(package, release, options.manifest, supply)? {
        context.terminal.print(format_args!("{name} {digest}"))?;
    }
    Ok(())
}
