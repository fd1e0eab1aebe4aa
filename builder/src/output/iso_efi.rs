//! `iso-efi`: a CD, or a disk, for EFI machines, with the root file system on it.

use super::iso::{self, Firmware};
use super::{Format, Job, OutputError};

/// `NAME-efi.iso`.
#[derive(Debug, Clone, Copy)]
pub struct IsoEfi;

const NAME: &str = "iso-efi";

impl Format for IsoEfi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}-efi.iso")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut out = job.create(&format!("{}-efi.iso", job.name))?;
        iso::from_disk(NAME, job, out.file_mut(), Firmware { bios: false, efi: true })
    }
}
