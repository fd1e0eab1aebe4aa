//! What can go wrong with a package.

use std::path::PathBuf;

/// An error that names the package it is about.
#[derive(Debug, thiserror::Error)]
pub enum PkgError {
    /// The directory has no readable `build.yml`.
    #[error("no package in {dir}: can't read {file}: {source}", dir = dir.display(), file = file.display())]
    NoManifest {
        /// The package directory.
        dir: PathBuf,
        /// The manifest that was tried.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `build.yml` has mistakes in it.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// A file of the package is not what it should be.
    #[error("{file}: {message}", file = file.display())]
    Manifest {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The package has no Dockerfile.
    #[error(
        "package {package} has no Dockerfile: can't read {file}: {source}; write one, or name another with \
         `dockerfile:` in build.yml or --dockerfile",
        file = file.display()
    )]
    NoDockerfile {
        /// `ORG/IMAGE:TAG`.
        package: String,
        /// The file that was tried.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The package is not for this architecture.
    #[error("package {package} can't be built for {arch}: {reason}")]
    Arch {
        /// `ORG/IMAGE:TAG`.
        package: String,
        /// In Go's words.
        arch: String,
        /// Why.
        reason: String,
    },
    /// The Dockerfile made an image for something else.
    #[error(
        "building {package} for linux/{wanted} made an image for {found}; a `FROM` of its Dockerfile names an image for \
         that, or has a --platform"
    )]
    BuiltFor {
        /// `ORG/IMAGE:TAG`.
        package: String,
        /// Architecture asked for.
        wanted: String,
        /// Platforms of the image.
        found: String,
    },
    /// Sources of another commit than the work tree's were named.
    #[error(
        "can't build {package} of commit {commit}: what is built is the work tree; check that commit out first"
    )]
    OtherCommit {
        /// `ORG/IMAGE:TAG`.
        package: String,
        /// The commit.
        commit: String,
    },
    /// A builder is named that nobody knows.
    #[error(
        "there is neither a Docker context nor a builder of `docker buildx` called {0}; `docker context ls` and \
         `docker buildx ls` show which there are"
    )]
    NoBuilder(String),
    /// An image of this machine that nobody has.
    #[error(
        "{0} has a name of this machine alone, and neither buildah's storage nor the cache has it; make it there, as \
         tools/debian-base makes the one that our packages start from, or take it in from a file: `lkb cache import FILE`"
    )]
    Nowhere(String),
    /// A package was to be pushed that git does not have.
    #[error(
        "refusing to push {0}: its sources are not what git has, so that nobody could build it again; commit them first"
    )]
    Dirty(String),
    /// The release has another image already.
    #[error(
        "refusing to release {package} as {release}: the registry has {digest} by that name for {arch}, and releases are never overwritten"
    )]
    Released {
        /// `ORG/IMAGE:TAG`.
        package: String,
        /// `ORG/IMAGE:RELEASE`.
        release: String,
        /// What is there.
        digest: crate::image::Digest,
        /// Its architecture.
        arch: String,
    },
    /// The commit has several tags, of which each could be the release.
    #[error("{package}: the commit has the tags {}; say with --release which one is the release", .tags.join(", "))]
    SeveralReleases {
        /// `ORG/IMAGE:TAG`.
        package: String,
        /// Git's tags.
        tags: Vec<String>,
    },
    /// What the image holds cannot be listed.
    #[error("can't list what is in {package}: {reason}; build without that list: --sbom-scanner false")]
    Contents {
        /// `ORG/IMAGE:TAG`.
        package: String,
        /// Why.
        reason: String,
    },
    /// An image cannot be written into the build context.
    #[error(transparent)]
    Output(#[from] crate::output::OutputError),
    /// An image does not come from a registry.
    #[error(transparent)]
    Pull(#[from] crate::image::registry::PullError),
    /// A registry does not take an image.
    #[error(transparent)]
    Push(#[from] crate::image::registry::PushError),
    /// Packages need each other in a circle.
    #[error("packages need each other in a circle: {}", .0.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" → "))]
    Cycle(Vec<PathBuf>),
    /// An outside program failed.
    #[error("{doing}: `{command}` {outcome}{}", if output.is_empty() { String::new() } else { format!(":\n{output}") })]
    Command {
        /// What it was run for.
        doing: String,
        /// The command line.
        command: String,
        /// How it ended.
        outcome: String,
        /// The last lines that it printed.
        output: String,
    },
    /// An outside program is not there.
    #[error("{doing}: `{program}` is not installed; {remedy}")]
    Missing {
        /// What it was wanted for.
        doing: String,
        /// Its name.
        program: String,
        /// How to get it.
        remedy: String,
    },
    /// A file operation failed.
    #[error("{doing} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A name and tag that make no image reference.
    #[error(transparent)]
    Reference(#[from] crate::image::ReferenceError),
    /// The cache refused.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
    /// Several packages failed that were built at the same time.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<PkgError>),
}

impl PkgError {
    /// One error, or all of them as one.
    pub(super) fn several(mut errors: Vec<Self>) -> Self {
        match errors.len() {
            1 => errors.remove(0),
            _ => Self::Several(errors),
        }
    }

    /// For `map_err`: an I/O error with what was tried on which path.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
