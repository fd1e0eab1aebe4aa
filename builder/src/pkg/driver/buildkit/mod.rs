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
use crate::pkg::local;
use worker::Worker;

const DOCKER: Program = Program {
    name: "docker",
    remedy: "install it with `apt-get install docker.io docker-buildx` (Debian 12: docker.io alone), or Docker's own packages \
             docker-ce-cli and docker-buildx-plugin, or build without --docker and --builders",
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
        // With several of them, it is told which one it was.
        let with = match &self.builder {
            Builder::Named(name, _) => format!(" with {name}"),
            _ => String::new(),
        };
        let doing = format!("building {}{with}", job.reference);
        match worker::find(&self.builder)? {
            Worker::Engine(engine) => engine.build(job, &doing, out),
            Worker::Buildx(name) => {
                let mut docker = docker();
                docker.args(command::buildx(&name, job, out));
                build(docker, &doing, job, out)
            }
        }
    }

    fn lacks(&self, image: &Reference, _fresh: bool) -> Result<bool, PkgError> {
        if image.registry() != local::REGISTRY {
            // It brings images itself.
            return Ok(false);
        }
        let name = image.to_string();
        let there =
            worker::engine(&self.builder)?.map(|engine| engine.has(&name, &format!("looking for {name}")));
        Ok(!there.transpose()?.unwrap_or(false))
    }

    fn keep_up(&self, upkeep: Upkeep) -> Result<String, PkgError> {
        match worker::find(&self.builder)? {
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
    // It would build elsewhere what is then looked for in an engine.
    command.env_remove("BUILDX_BUILDER");
    command
}

/// Runs a command that builds.
fn build(command: Command, doing: &str, job: &Job<'_>, out: &Path) -> Result<(), PkgError> {
    DOCKER.run(command, doing, &log_file(out), job.shown).map_err(|error| match error {
        PkgError::Command { doing, output, .. } if output.contains(NO_BUILDX) => {
            PkgError::Missing { doing, program: BUILDX.name.into(), remedy: BUILDX.remedy.into() }
        }
        error => error,
    })
}
