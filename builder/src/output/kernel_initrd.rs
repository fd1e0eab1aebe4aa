//! `kernel+initrd`: what qemu, PXE and boot loaders take.

use std::io::Write;

use super::{Format, Job, OutputError};

/// `NAME-kernel`, `NAME-initrd.img`, `NAME-cmdline`. The command line is written even when it is empty, so that an
/// older build's never stays.
#[derive(Debug, Clone, Copy)]
pub struct KernelInitrd;

const NAME: &str = "kernel+initrd";

impl Format for KernelInitrd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        ["kernel", "initrd.img", "cmdline"].map(|part| format!("{name}-{part}")).to_vec()
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let machine = job.machine;
        let kernel = machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(NAME))?;
        let mut out = job.create(&format!("{}-kernel", job.name))?;
        let path = out.path().to_owned();
        kernel.copy_to(&mut out).map_err(|source| OutputError::Copy {
            path: "the kernel".into(),
            origin: machine.boot.to_string(),
            into: path.display().to_string(),
            source,
        })?;
        let initrd = job.initrd()?;
        job.copy(initrd, &mut job.create(&format!("{}-initrd.img", job.name))?)?;
        let mut out = job.create(&format!("{}-cmdline", job.name))?;
        let path = out.path().to_owned();
        out.write_all(machine.cmdline.as_bytes()).map_err(OutputError::io("write", &path))
    }
}
