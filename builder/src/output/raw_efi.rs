//! `raw-efi`: a disk for EFI machines, as small as its content.

use std::fs::File;
use std::path::Path;

use super::efi::{self, EfiDiskError};
use super::on_disk::Boot;
use super::{Format, Job, OutputError};

/// `NAME-efi.img`.
#[derive(Debug, Clone, Copy)]
pub struct RawEfi;

const NAME: &str = "raw-efi";

impl Format for RawEfi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}-efi.img")]
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut out = job.create(&format!("{}-efi.img", job.name))?;
        let path = out.path().to_owned();
        disk(NAME, job, out.file_mut(), &path, None)
    }
}

/// Writes the machine of `job` as an EFI disk over `out`, which is at `path`.
pub(super) fn disk(
    format: &'static str,
    job: &Job<'_>,
    out: &mut File,
    path: &Path,
    size: Option<u64>,
) -> Result<(), OutputError> {
    let boot = Boot::from_disk(format, job)?;
    let (uki, stub) = efi::uki(format, job, &boot)?;
    match efi::write(out, uki, stub.boot_name, size, boot.root.as_ref()) {
        Ok(_) => Ok(()),
        Err(EfiDiskError::Write(source)) => Err(OutputError::io("write", path)(source)),
        Err(source) => Err(OutputError::Disk { format, source: Box::new(source) }),
    }
}
