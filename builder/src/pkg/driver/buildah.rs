//! buildah: no daemon, and no more privileges than a chroot needs.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use super::{Driver, Job, log_file};
use crate::pkg::PkgError;
use crate::tree::GENERATED_MTIME;

/// How many of the last lines a failed build shows.
const LINES_SHOWN: usize = 30;

/// vfs works on every file system and needs no privileges of its own.
const STORAGE: [&str; 2] = ["--storage-driver", "vfs"];

/// The driver.
#[derive(Debug)]
pub struct Buildah;

impl Driver for Buildah {
    fn name(&self) -> &'static str {
        "buildah"
    }

    fn build(&self, job: &Job<'_>, out: &Path) -> Result<(), PkgError> {
        let name = format!("localhost/{}", job.reference);
        let mut command = if job.network { buildah() } else { without_network() };
        command.args(["bud", "--isolation", "chroot", "--format", "oci", "--pull-never", "--tag", &name]);
        command.args(["--timestamp", &GENERATED_MTIME.to_string()]);
        command.arg(if job.cache { "--layers=true" } else { "--no-cache" });
        for (key, value) in job.args {
            command.arg("--build-arg").arg(format!("{key}={value}"));
        }
        for (key, value) in job.labels {
            command.arg("--label").arg(format!("{key}={value}"));
        }
        command.arg("--file").arg(job.dockerfile).arg(job.context);
        run(command, &format!("building {}", job.reference), out)?;

        let mut push = buildah();
        push.args(["push", "--disable-compression", "--format", "oci", &name]);
        push.arg(format!("oci:{}:{}", out.display(), job.reference));
        run(push, &format!("exporting {}", job.reference), out)
    }

    fn provide(&self, layout: &Path, reference: &str) -> Result<String, PkgError> {
        let doing = format!("handing {reference} to buildah");
        let mut pull = buildah();
        pull.arg("pull").arg("--quiet").arg(format!("oci:{}:{reference}", layout.display()));
        let out = pull.stdin(Stdio::null()).output().map_err(|_| missing(&doing))?;
        if !out.status.success() {
            return Err(failed(&doing, out.status, &out.stderr));
        }
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_string())
    }
}

/// buildah's chroot isolation shares the network of the process: here, a namespace with nothing in it.
fn without_network() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "buildah"]).args(STORAGE);
    command
}

fn buildah() -> Command {
    let mut command = Command::new("buildah");
    command.args(STORAGE);
    command
}

fn run(mut command: Command, doing: &str, out: &Path) -> Result<(), PkgError> {
    let log = log_file(out);
    let file = File::create(&log).map_err(PkgError::io("writing", &log))?;
    let errors = file.try_clone().map_err(PkgError::io("writing", &log))?;
    let status = command.stdin(Stdio::null()).stdout(file).stderr(errors).status();
    let status = status.map_err(|_| missing(doing))?;
    if status.success() {
        return Ok(());
    }
    let printed = std::fs::read(&log).map_err(PkgError::io("reading", &log))?;
    Err(failed(doing, status, &printed))
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
