//! Who runs a Dockerfile. Adding a driver is one module and one line in [`choose`].

mod buildah;
mod buildkit;
mod process;
mod workers;

use std::fmt;
use std::path::Path;

pub use buildah::{export, stored};
pub use buildkit::{equivalent, load};
pub use workers::{Builder, Made, Workers, WorkersError};

use super::PkgError;
use crate::image::{Digest, Reference};

/// One Dockerfile to run.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The build context.
    pub context: &'a Path,
    /// The Dockerfile, inside the context.
    pub dockerfile: &'a Path,
    /// `ORG/IMAGE:TAG`.
    pub reference: &'a str,
    /// The architecture that it is built for, in Go's words.
    pub arch: &'a str,
    /// Build arguments; one without a value has that of the variable of its name.
    pub args: &'a [(String, Option<String>)],
    /// Images of `images` that the Dockerfile takes files of.
    pub needs: &'a [Need],
    /// Images of `images` that the Dockerfile names itself.
    pub bases: &'a [Base],
    /// An OCI layout that has these images; its own name, without its directory's, is in lower case.
    pub images: &'a Path,
    /// Writes one of them to a file, in the form of `docker save`.
    pub save: &'a dyn Fn(&str, &Path) -> Result<(), PkgError>,
    /// Labels of the image.
    pub labels: &'a [(String, String)],
    /// What programs may use of this machine's SSH agent and keys (`--ssh` of `docker buildx build`).
    pub ssh: &'a [String],
    /// Whether the build may use the network.
    pub network: bool,
    /// Whether stages that were built before may be used again.
    pub cache: bool,
    /// Whether images of others are asked for again that are there already.
    pub fresh: bool,
    /// Whether what it prints is shown while it goes on.
    pub shown: bool,
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("reference", &self.reference)
            .field("arch", &self.arch)
            .finish_non_exhaustive()
    }
}

/// An image that a Dockerfile takes files of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The build argument that names it.
    pub argument: String,
    /// `ORG/IMAGE:TAG`, as `show-tag` prints it.
    pub reference: String,
    /// What the name means in the layout; nothing is known of one that is not there.
    pub digest: Option<Digest>,
}

/// An image of others that a Dockerfile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Its name.
    pub reference: Reference,
    /// What the name means in the layout.
    pub digest: Option<Digest>,
}

/// What is done about what a builder keeps of earlier builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// It is told how much that is.
    Measure,
    /// It is removed.
    Prune,
}

/// Something that can build an image from a Dockerfile.
pub trait Driver: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Whether it can build several packages at the same time.
    fn builds_side_by_side(&self) -> bool;

    /// Builds the image into `out`, with layers that are compressed or not: an OCI layout, or an archive of an image. Leaves
    /// nothing behind but what makes the next build of the same package faster.
    ///
    /// # Errors
    /// When the program is missing, or the build fails: then with the end of what it printed.
    fn build(&self, job: &Job<'_>, out: &Path) -> Result<(), PkgError>;

    /// Whether the image of others has to be handed to it, because it neither has it nor gets it itself; `fresh` if what it
    /// has may be out of date.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn lacks(&self, image: &Reference, fresh: bool) -> Result<bool, PkgError>;

    /// Looks after what it keeps of earlier builds, and returns what is to be told of that.
    ///
    /// # Errors
    /// When the program is missing, or fails.
    fn keep_up(&self, upkeep: Upkeep) -> Result<String, PkgError>;
}

/// Who builds for an architecture, on a machine of the architecture `host`.
#[must_use]
pub fn choose(workers: &Workers, arch: &str, host: &str) -> Box<dyn Driver> {
    match workers.for_arch(arch) {
        Builder::Buildah => Box::new(buildah::Buildah { foreign: (arch != host).then(|| arch.into()) }),
        other => Box::new(buildkit::BuildKit { builder: other }),
    }
}
