//! Who runs a Dockerfile. Adding a driver is one file and one line in [`all`].

use std::path::{Path, PathBuf};

use super::PkgError;

mod buildah;

/// One Dockerfile to run.
#[derive(Debug)]
pub struct Job<'a> {
    /// The build context.
    pub context: &'a Path,
    /// The Dockerfile, inside the context.
    pub dockerfile: &'a Path,
    /// `ORG/IMAGE:TAG`.
    pub reference: &'a str,
    /// Build arguments.
    pub args: &'a [(String, String)],
    /// Build arguments that name images for a `FROM`: each with the image's reference in `images`.
    pub needs: &'a [(String, String)],
    /// An OCI layout that has these images.
    pub images: &'a Path,
    /// Labels of the image.
    pub labels: &'a [(String, String)],
    /// Whether the build may use the network.
    pub network: bool,
    /// Whether stages that were built before may be used again.
    pub cache: bool,
}

/// Something that can build an image from a Dockerfile.
pub trait Driver: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Builds the image into an OCI layout at `out`, with layers that are not compressed, and leaves nothing behind but what
    /// makes the next build of the same package faster.
    ///
    /// # Errors
    /// When the program is missing, or the build fails: then with the end of what it printed.
    fn build(&self, job: &Job<'_>, out: &Path) -> Result<(), PkgError>;
}

/// Every driver; the first is the default.
#[must_use]
pub fn all() -> &'static [&'static dyn Driver] {
    &[&buildah::Buildah]
}

/// Where a driver writes what a build prints, to be shown when it fails.
pub(super) fn log_file(out: &Path) -> PathBuf {
    out.with_extension("log")
}
