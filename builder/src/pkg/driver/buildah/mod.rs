//! buildah: no daemon, and no more privileges than a chroot needs.

mod store;
mod used;

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus};

use super::{Driver, Job, log_file};
use crate::pkg::PkgError;
use crate::tree::GENERATED_MTIME;
use store::Store;
use used::Used;

/// How many of the last lines a failed build shows.
const LINES_SHOWN: usize = 30;

/// The driver.
#[derive(Debug)]
pub struct Buildah;

impl Driver for Buildah {
    fn name(&self) -> &'static str {
        "buildah"
    }

    fn build(&self, job: &Job<'_>, out: &Path) -> Result<(), PkgError> {
        let store = Store::open()?;
        let mut used = Used::default();
        let built = build(&store, job, out, &mut used);
        // The image is there, or why it is not is what is told: what cannot be tidied up now is the next build's to tidy up.
        if let Err(error) = store.tidy(job.reference, &used, built.is_ok()) {
            eprintln!("lkb: what earlier builds left stays in {}: {error}", store.root().display());
        }
        built
    }
}

fn build(store: &Store, job: &Job<'_>, out: &Path, used: &mut Used) -> Result<(), PkgError> {
    let name = format!("localhost/{}", job.reference);
    let mut command = if job.network { store.buildah()? } else { store.without_network()? };
    command.args(["bud", "--isolation", "chroot", "--format", "oci", "--pull-never", "--tag", &name]);
    command.args(["--force-rm", "--timestamp", &GENERATED_MTIME.to_string()]);
    command.arg(if job.cache { "--layers=true" } else { "--no-cache" });
    for (key, value) in job.args {
        command.arg("--build-arg").arg(format!("{key}={value}"));
    }
    for (key, reference) in job.needs {
        let image = store.pull(job.images, reference)?;
        command.arg("--build-arg").arg(format!("{key}={image}"));
        used.add(&image);
    }
    for (key, value) in job.labels {
        command.arg("--label").arg(format!("{key}={value}"));
    }
    command.arg("--file").arg(job.dockerfile).arg(job.context);
    let log = log_file(out);
    let built = run(command, &format!("building {}", job.reference), &log);
    // Steps of a build that failed are used again when it is repeated.
    used.read(&log)?;
    built?;

    let mut push = store.buildah()?;
    push.args(["push", "--disable-compression", "--format", "oci", &name]);
    push.arg(format!("oci:{}:{}", out.display(), job.reference));
    run(push, &format!("exporting {}", job.reference), &log)
}

/// Runs a command to its end; what it prints goes to the file `log`.
fn run(mut command: Command, doing: &str, log: &Path) -> Result<(), PkgError> {
    let file = File::create(log).map_err(PkgError::io("writing", log))?;
    let errors = file.try_clone().map_err(PkgError::io("writing", log))?;
    let status = command.stdout(file).stderr(errors).status();
    let status = status.map_err(|_| missing(doing))?;
    if status.success() {
        return Ok(());
    }
    let printed = std::fs::read(log).map_err(PkgError::io("reading", log))?;
    Err(failed(doing, status, &printed))
}

/// Runs a command to its end, and returns what it prints.
fn answer(mut command: Command, doing: &str) -> Result<String, PkgError> {
    let out = command.output().map_err(|_| missing(doing))?;
    if !out.status.success() {
        return Err(failed(doing, out.status, &out.stderr));
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

fn missing(doing: &str) -> PkgError {
    PkgError::Missing {
        doing: doing.into(),
        program: "buildah".into(),
        remedy: "install the package buildah".into(),
    }
}

fn failed(doing: &str, status: ExitStatus, printed: &[u8]) -> PkgError {
    PkgError::Command {
        doing: doing.into(),
        command: "buildah".into(),
        outcome: status.to_string(),
        output: last_lines(&String::from_utf8_lossy(printed), LINES_SHOWN),
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_of_a_failed_build_are_shown() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a\n", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }
}
