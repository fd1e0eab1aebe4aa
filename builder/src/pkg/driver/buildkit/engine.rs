//! The BuildKit inside of a Docker engine: it writes no layouts, so that images go through the engine's store.

use std::path::Path;
use std::process::Command;
use std::time::UNIX_EPOCH;

use super::{DOCKER, build, command, docker};
use crate::pkg::PkgError;
use crate::pkg::driver::process::log_file;
use crate::pkg::driver::{Job, Upkeep};

/// What images are called while they are built.
const NAME: &str = "lkb/build";

/// A Docker engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Engine {
    /// Docker's context for it, if not the current one.
    pub(super) context: Option<String>,
    /// Its address, if not the context's.
    pub(super) host: Option<String>,
}

impl Engine {
    /// Builds an image into the file `out`, as `docker save` writes it.
    pub(super) fn build(&self, job: &Job<'_>, doing: &str, out: &Path) -> Result<(), PkgError> {
        let mut lent = Vec::new();
        let built = self.lend(job, out, &mut lent).and_then(|()| self.build_with(job, doing, out));
        // The image is there, or why it is not is what is told.
        for name in lent {
            if let Err(error) = self.run(&["rmi", &name], "removing what was lent to Docker", out) {
                eprintln!("lkb: {error}");
            }
        }
        built
    }

    /// Whether it has an image.
    pub(super) fn has(&self, name: &str, doing: &str) -> Result<bool, PkgError> {
        let mut inspect = self.docker();
        inspect.args(["image", "inspect", name]);
        DOCKER.succeeds(inspect, doing)
    }

    /// Puts the images into the engine that the build takes files of, and notes those that were not there.
    fn lend(&self, job: &Job<'_>, out: &Path, lent: &mut Vec<String>) -> Result<(), PkgError> {
        let needs = job.needs.iter().map(|need| need.reference.clone());
        for name in needs.chain(job.bases.iter().map(|base| base.reference.to_string())) {
            let doing = format!("handing {name} to Docker");
            let is_there = self.has(&name, &doing)?;
            let archive = out.with_extension("need");
            (job.save)(&name, &archive)?;
            let mut load = self.docker();
            load.args(["load", "--quiet", "--input"]).arg(&archive);
            DOCKER.run(load, &doing, &log_file(out), false)?;
            std::fs::remove_file(&archive).map_err(PkgError::io("removing", &archive))?;
            if !is_there {
                lent.push(name);
            }
        }
        Ok(())
    }

    /// Looks after BuildKit's store in the engine.
    pub(super) fn keep_up(&self, upkeep: Upkeep) -> Result<String, PkgError> {
        let mut docker = self.docker();
        match upkeep {
            Upkeep::Measure => docker.args(["system", "df"]),
            Upkeep::Prune => docker.args(["builder", "prune", "--force"]),
        };
        DOCKER.answer(docker, "looking after the Docker engine's builds")
    }

    fn build_with(&self, job: &Job<'_>, doing: &str, out: &Path) -> Result<(), PkgError> {
        let nanoseconds = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let name = format!("{NAME}:{}-{nanoseconds}", std::process::id());
        let mut docker = self.docker();
        docker.args(command::engine(&name, job));
        build(docker, doing, job, out)?;
        let exporting = format!("exporting {}", job.reference);
        let mut save = self.docker();
        save.args(["save", &name, "--output"]).arg(out);
        let saved = DOCKER.run(save, &exporting, &log_file(out), false);
        // Steps stay in BuildKit's own store.
        let removed = self.run(&["rmi", &name], "removing the name of what was built", out);
        saved.and(removed)
    }

    fn run(&self, args: &[&str], doing: &str, out: &Path) -> Result<(), PkgError> {
        let mut docker = self.docker();
        docker.args(args);
        DOCKER.run(docker, doing, &log_file(out), false)
    }

    fn docker(&self) -> Command {
        let mut docker = docker();
        if let Some(host) = &self.host {
            docker.args(["--host", host]).env("BUILDX_BUILDER", "default");
        } else if let Some(context) = &self.context {
            // The builder of a context has its name.
            docker.args(["--context", context]).env("BUILDX_BUILDER", context);
        }
        docker
    }
}
