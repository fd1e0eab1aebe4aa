//! What a boot loader takes, as files of their own: `NAME-kernel`, `NAME-initrd.img`, `NAME-cmdline`.

use std::io::Write;
use std::path::Path;

use super::{Job, OutputError};

const KERNEL: &str = "kernel";
const INITRD: &str = "initrd.img";
const CMDLINE: &str = "cmdline";

/// The names of the files of a build called `name`.
pub(super) fn names(name: &str) -> Vec<String> {
    [KERNEL, INITRD, CMDLINE].map(|part| format!("{name}-{part}")).to_vec()
}

/// Writes the kernel of `job`; to be called first, since it is what a machine may lack.
pub(super) fn write_kernel(format: &'static str, job: &Job<'_>) -> Result<(), OutputError> {
    let kernel = job.machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(format))?;
    let mut out = job.create(&format!("{}-{KERNEL}", job.name))?;
    let path = out.path().to_owned();
    kernel.copy_to(&mut out).map_err(|source| OutputError::Copy {
        path: "the kernel".into(),
        origin: job.machine.boot.to_string(),
        into: path.display().to_string(),
        source,
    })
}

/// Writes the rest: a finished initrd, and the command line. That is written even when it is empty, so that an older build's
/// never stays.
pub(super) fn write_rest(job: &Job<'_>, initrd: &Path, cmdline: &str) -> Result<(), OutputError> {
    job.copy(initrd, &mut job.create(&format!("{}-{INITRD}", job.name))?)?;
    let mut out = job.create(&format!("{}-{CMDLINE}", job.name))?;
    let path = out.path().to_owned();
    out.write_all(cmdline.as_bytes()).map_err(OutputError::io("write", &path))
}
