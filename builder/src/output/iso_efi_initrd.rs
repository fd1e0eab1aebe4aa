//! `iso-efi-initrd`: a CD, or a disk, for EFI machines, which run from memory and need it no more.

use super::iso::{self, Firmware};
use super::{Format, Job, OutputError};

/// `NAME-efi-initrd.iso`.
#[derive(Debug, Clone, Copy)]
pub struct IsoEfiInitrd;

const NAME: &str = "iso-efi-initrd";

impl Format for IsoEfiInitrd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}-efi-initrd.iso")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut out = job.create(&format!("{}-efi-initrd.iso", job.name))?;
        iso::from_memory(NAME, job, out.file_mut(), Firmware { bios: false, efi: true })
    }
}
