//! `kernel+iso`: a kernel, and the root file system as an image of its own.

use std::io::Write;

use super::{Format, Job, OutputError, iso};

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
        ["-kernel", "-initrd.img", "-cmdline", ".iso"].map(|part| format!("{name}{part}")).to_vec()
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let kernel = job.machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(NAME))?;
        let mut out = job.create(&format!("{}-kernel", job.name))?;
        let path = out.path().to_owned();
        kernel.copy_to(&mut out).map_err(|source| OutputError::Copy {
            path: "the kernel".into(),
            origin: job.machine.boot.to_string(),
            into: path.display().to_string(),
            source,
        })?;
        let mut image = job.create(&format!("{}.iso", job.name))?;
        let machine = iso::alone(NAME, job, image.file_mut())?;
        let name = format!("{}-iso-stage", job.name);
        let stage = Job::new(&machine, job.cache, job.dir, &name, job.settings);
        job.copy(stage.initrd()?, &mut job.create(&format!("{}-initrd.img", job.name))?)?;
        let mut out = job.create(&format!("{}-cmdline", job.name))?;
        let path = out.path().to_owned();
        out.write_all(machine.cmdline.as_bytes()).map_err(OutputError::io("write", &path))
    }
}
