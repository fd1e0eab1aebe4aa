//! `qcow2-efi`: a disk of a chosen size for EFI machines, in the format that clouds and qemu take.

use super::{Format, Job, OutputError, convert, qcow2};

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

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        convert::efi_disk(NAME, job, job.settings.size, &format!("{}-efi.qcow2", job.name), qcow2::write)
    }
}
