//! buildah: no daemon, and no more privileges than a chroot needs.

mod layout;
mod store;
mod used;

use std::path::Path;

use super::process::{Program, log_file};
use super::{Driver, Job, Upkeep};
use crate::image::Reference;
use crate::pkg::PkgError;
use crate::pkg::local;
use crate::tree::GENERATED_MTIME;
use store::Store;
use used::Used;

const BUILDAH: Program = Program {
    name: "buildah",
    remedy: "install it with `apt-get install buildah` or `dnf install buildah`, or build with Docker's BuildKit: --docker",
};

/// What it says of an image that it does not have.
const UNKNOWN: &str = "image not known";

/// The driver.
#[derive(Debug)]
pub struct Buildah {
    /// The architecture that it builds for, if that is not this machine's.
    pub foreign: Option<String>,
}

impl Driver for Buildah {
    fn name(&self) -> &'static str {
        "buildah"
    }

    fn builds_side_by_side(&self) -> bool {
        true
    }

    fn build(&self, job: &Job<'_>, out: &Path) -> Result<(), PkgError> {
        let store = Store::open(self.foreign.as_deref())?;
        let mut used = Used::default();
        let built = build(&store, job, out, &mut used);
        // The image is there, or why it is not is what is told: what cannot be tidied up now is the next build's to tidy up.
        if let Err(error) = store.tidy(job.reference, &used, built.is_ok()) {
            eprintln!("lkb: what earlier builds left stays in {}: {error}", store.root().display());
        }
        built
    }

    fn lacks(&self, image: &Reference, fresh: bool) -> Result<bool, PkgError> {
        // What nobody serves can only be there.
        // What it has without having been handed it is for this machine.
        Ok(image.registry() != local::REGISTRY
            && (fresh || self.foreign.is_some() || !Store::open(self.foreign.as_deref())?.has(image)?))
    }

    fn keep_up(&self, upkeep: Upkeep) -> Result<String, PkgError> {
        let store = Store::open(self.foreign.as_deref())?;
        let bytes = store.size()?;
        if upkeep == Upkeep::Prune {
            store.empty()?;
        }
        Ok(format!("buildah, {}: {bytes} bytes", store.root().display()))
    }
}

/// The id of an image in buildah's own storage; `None` if buildah is not installed, or does not have it.
///
/// # Errors
/// When buildah cannot be started.
pub fn stored(image: &Reference) -> Result<Option<String>, PkgError> {
    let mut inspect = store::own();
    inspect.args(["inspect", "--type", "image", "--format", "{{.FromImageID}}"]).arg(image.to_string());
    match BUILDAH.answer(inspect, &format!("looking for {image}")) {
        Ok(id) => Ok(Some(id)),
        Err(PkgError::Missing { .. }) => Ok(None),
        // It says in words alone that it does not have it.
        Err(PkgError::Command { output, .. }) if output.contains(UNKNOWN) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes an image of buildah's own storage into an OCI layout.
///
/// # Errors
/// When buildah fails.
pub fn export(image: &Reference, layout: &Path) -> Result<(), PkgError> {
    let mut push = store::own();
    push.args(["push", "--quiet", "--format", "oci"]).arg(image.to_string());
    push.arg(format!("oci:{}", layout.display()));
    BUILDAH.answer(push, &format!("taking {image} from buildah")).map(drop)
}

fn build(store: &Store, job: &Job<'_>, out: &Path, used: &mut Used) -> Result<(), PkgError> {
    let name = format!("localhost/{}", job.reference);
    let mut command = if job.network { store.buildah()? } else { store.without_network()? };
    command.args(["bud", "--isolation", "chroot", "--format", "docker", "--pull-never", "--tag", &name]);
    command.args(["--force-rm", "--timestamp", &GENERATED_MTIME.to_string()]);
    // The same labels as those of other drivers.
    command.args(["--layers=true", "--identity-label=false"]);
    if !job.cache {
        command.arg("--no-cache");
    }
    if store.is_foreign() {
        command.arg("--platform").arg(format!("linux/{}", job.arch));
    }
    for (key, value) in job.args {
        command.arg("--build-arg").arg(match value {
            Some(value) => format!("{key}={value}"),
            None => key.clone(),
        });
    }
    for need in job.needs {
        // By its id: another build may give another image this name.
        let image = store.pull(job.images, &need.reference.parse()?, job.arch)?;
        command.arg("--build-arg").arg(format!("{}={image}", need.argument));
        used.add(&image);
    }
    for base in job.bases {
        let image = store.pull(job.images, &base.reference, job.arch)?;
        store.name(&image, &base.reference)?;
        used.add(&image);
    }
    for ssh in job.ssh {
        command.arg("--ssh").arg(ssh);
    }
    for (key, value) in job.labels {
        command.arg("--label").arg(format!("{key}={value}"));
    }
    command.arg("--file").arg(job.dockerfile).arg(job.context);
    let log = log_file(out);
    let built = BUILDAH.run(command, &format!("building {}", job.reference), &log, job.shown);
    // Steps of a build that failed are used again when it is repeated.
    used.read(&log)?;
    built?;

    let mut push = store.buildah()?;
    let written = out.with_extension("written");
    push.args(["push", "--format", "v2s2", &name]);
    push.arg(format!("dir:{}", written.display()));
    BUILDAH.run(push, &format!("exporting {}", job.reference), &log, false)?;
    layout::make(&written, out)
}
