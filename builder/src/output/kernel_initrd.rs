//! `kernel+initrd`: what qemu, PXE and boot loaders take.

use super::{Format, Job, OutputError, boot_files};

/// `NAME-kernel`, `NAME-initrd.img`, `NAME-cmdline`.
#[derive(Debug, Clone, Copy)]
pub struct KernelInitrd;

const NAME: &str = "kernel+initrd";

impl Format for KernelInitrd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        boot_files::names(name)
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        boot_files::write_kernel(NAME, job)?;
        boot_files::write_rest(job, job.initrd()?, &job.machine.cmdline)
    }
}
