//! `kernel+squashfs`, `kernel+erofs`: a kernel, and the root filesystem as the whole of a disk.

use super::on_disk::Boot;
use super::{FileSystem, Format, Job, OutputError, boot_files};

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
    let mut files = boot_files::names(name);
    files.push(format!("{name}-{}.img", file_system.name()));
    files
}

fn write(format: &'static str, file_system: FileSystem, job: &Job<'_>) -> Result<(), OutputError> {
    boot_files::write_kernel(format, job)?;
    let boot = Boot::of_root(format, job, file_system, PLACE)?;
    boot_files::write_rest(job, &boot.initrd, &boot.cmdline)?;
    let root = job.root(file_system)?;
    job.copy(&root.path, &mut job.create(&format!("{}-{}.img", job.name, file_system.name()))?)
}
