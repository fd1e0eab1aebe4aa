//! `kernel+squashfs`, `kernel+erofs`: a kernel, and the root filesystem as the whole of a disk.

use std::io::Write;

use super::on_disk::Boot;
use super::{FileSystem, Format, Job, OutputError};

/// `NAME-kernel`, `NAME-initrd.img`, `NAME-cmdline`, `NAME-squashfs.img`.
#[derive(Debug, Clone, Copy)]
pub struct KernelSquashfs;

/// `NAME-kernel`, `NAME-initrd.img`, `NAME-cmdline`, `NAME-erofs.img`.
#[derive(Debug, Clone, Copy)]
pub struct KernelErofs;

/// Where machines have the disk, in the command line; nothing in the image could tell. Of several `root=` the last one counts.
const PLACE: &str = "/dev/vda";

impl Format for KernelSquashfs {
    fn name(&self) -> &'static str {
        "kernel+squashfs"
    }

    fn files(&self, name: &str) -> Vec<String> {
        files(FileSystem::Squashfs, name)
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        write(self.name(), FileSystem::Squashfs, job)
    }
}

impl Format for KernelErofs {
    fn name(&self) -> &'static str {
        "kernel+erofs"
    }

    fn files(&self, name: &str) -> Vec<String> {
        files(FileSystem::Erofs, name)
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        write(self.name(), FileSystem::Erofs, job)
    }
}

/// The initrd is there even when the kernel needs none, and then has no files: so an older build's never stays.
fn files(file_system: FileSystem, name: &str) -> Vec<String> {
    let image = format!("{}.img", file_system.name());
    ["kernel", "initrd.img", "cmdline", &image].map(|part| format!("{name}-{part}")).to_vec()
}

fn write(format: &'static str, file_system: FileSystem, job: &Job<'_>) -> Result<(), OutputError> {
    let machine = job.machine;
    let kernel = machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(format))?;
    let mut out = job.create(&format!("{}-kernel", job.name))?;
    let path = out.path().to_owned();
    kernel.copy_to(&mut out).map_err(|source| OutputError::Copy {
        path: "the kernel".into(),
        origin: machine.boot.to_string(),
        into: path.display().to_string(),
        source,
    })?;
    let boot = Boot::of_root(format, job, file_system, PLACE)?;
    job.copy(&boot.initrd, &mut job.create(&format!("{}-initrd.img", job.name))?)?;
    let mut out = job.create(&format!("{}-cmdline", job.name))?;
    let path = out.path().to_owned();
    out.write_all(boot.cmdline.as_bytes()).map_err(OutputError::io("write", &path))?;
    let root = job.root(file_system)?;
    job.copy(&root.path, &mut job.create(&format!("{}-{}.img", job.name, file_system.name()))?)
}
