//! BuildKit: inside of a Docker engine, or wherever `docker buildx` finds one.

mod command;
mod engine;
mod worker;

use std::path::Path;
use std::process::{Command, Stdio};

pub use command::equivalent;

use super::process::{Program, log_file};
use super::{Builder, Driver, Job, Upkeep};
use crate::image::Reference;
use crate::pkg::PkgError;
use worker::Worker;

const DOCKER: Program = Program {
    name: "docker",
    remedy: "install it with `apt-get install docker.io docker-buildx`, or Docker's own packages docker-ce-cli and \
             docker-buildx-plugin, or build without --docker and --builders",
};
const BUILDX: Program = Program {
    name: "docker buildx",
    remedy: "install it with `apt-get install docker-buildx` (Debian 13 and later) or as Docker's package docker-buildx-plugin",
};
/// What `docker build` says without it, from version 23 on.
const NO_BUILDX: &str = "buildx component is missing";

/// The driver.
#[derive(Debug)]
pub struct BuildKit {
    /// Where it is.
    pub builder: Builder,
}

impl Driver for BuildKit {
    fn name(&self) -> &'static str {
        "BuildKit"
    }

    fn builds_side_by_side(&self) -> bool {
        // An engine is lent images, and they are taken from it when the build is done that they were lent for. BuildKit runs
        // the stages of one build side by side itself.
        false
    }

    fn build(&self, job: &Job<'_>, out: &Path) -> Result<(), PkgError> {
        match worker::find(&self.builder, out)? {
            Worker::Engine(engine) => engine.build(job, out),
            Worker::Buildx(name) => {
                let mut docker = docker();
                docker.args(command::buildx(&name, job, out));
                build(docker, job, out)
            }
        }
    }

    fn lacks(&self, _image: &Reference, _fresh: bool) -> Result<bool, PkgError> {
        // It brings images itself.
        Ok(false)
    }

    fn keep_up(&self, upkeep: Upkeep) -> Result<String, PkgError> {
        let scratch = std::env::temp_dir().join(format!("lkb-{}", std::process::id()));
        match worker::find(&self.builder, &scratch)? {
            Worker::Engine(engine) => engine.keep_up(upkeep),
            Worker::Buildx(name) => {
                let mut docker = docker();
                match upkeep {
                    Upkeep::Measure => docker.args(["buildx", "du", "--builder", &name]),
                    Upkeep::Prune => docker.args(["buildx", "prune", "--force", "--builder", &name]),
                };
                DOCKER.answer(docker, &format!("looking after the builder {name}"))
            }
        }
    }
}

/// Puts an image that `docker save` could have written into the current engine; `called` is for messages.
///
/// # Errors
/// When Docker is missing, or refuses.
pub fn load(archive: &Path, called: &str) -> Result<(), PkgError> {
    let mut load = docker();
    load.args(["load", "--quiet", "--input"]).arg(archive);
    DOCKER.answer(load, &format!("handing {called} to Docker")).map(drop)
}

/// Docker's command line, which asks nobody anything.
fn docker() -> Command {
    let mut command = Command::new(DOCKER.name);
    command.stdin(Stdio::null());
    // Without it, version 20 builds in a way that has nothing of BuildKit; attestations are ours.
    command.env("DOCKER_BUILDKIT", "1").env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
    command
}

/// Runs a command that builds.
fn build(command: Command, job: &Job<'_>, out: &Path) -> Result<(), PkgError> {
    let doing = format!("building {}", job.reference);
    DOCKER.run(command, &doing, &log_file(out), job.shown).map_err(|error| match error {
        PkgError::Command { doing, output, .. } if output.contains(NO_BUILDX) => {
            PkgError::Missing { doing, program: BUILDX.name.into(), remedy: BUILDX.remedy.into() }
        }
        error => error,
    })
}
