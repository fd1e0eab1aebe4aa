//! `qcow2-efi`: a disk of a chosen size for EFI machines, in the format that clouds and qemu take.

use super::qcow2_bios::convert;
use super::{Format, Job, OutputError, raw_efi};

/// `NAME-efi.qcow2`.
#[derive(Debug, Clone, Copy)]
pub struct Qcow2Efi;

const NAME: &str = "qcow2-efi";

impl Format for Qcow2Efi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}-efi.qcow2")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut raw = job.scratch(&format!("{}-{NAME}", job.name))?;
        let raw_path = raw.path().to_owned();
        raw_efi::disk(NAME, job, raw.file_mut(), &raw_path, Some(job.size))?;
        convert(NAME, job, raw.file_mut(), &format!("{}-efi.qcow2", job.name))
    }
}
