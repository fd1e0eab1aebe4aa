//! `kernel+iso`: a kernel, and the root file system as an image of its own.

use super::{Format, Job, OutputError, boot_files, iso};

/// `NAME-kernel`, `NAME-initrd.img`, `NAME-cmdline`, `NAME.iso`. The initrd has init and the modules of disks: it finds the image by
/// its UUID, on whichever drive it is.
#[derive(Debug, Clone, Copy)]
pub struct KernelIso;

const NAME: &str = "kernel+iso";

impl Format for KernelIso {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        let mut files = boot_files::names(name);
        files.push(format!("{name}.iso"));
        files
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        boot_files::write_kernel(NAME, job)?;
        let mut image = job.create(&format!("{}.iso", job.name))?;
        let machine = iso::alone(NAME, job, image.file_mut())?;
        let name = format!("{}-iso-stage", job.name);
        let stage = Job::new(&machine, job.cache, job.dir, &name, job.settings);
        boot_files::write_rest(job, stage.initrd()?, &machine.cmdline)
    }
}
