//! `iso-hybrid`: a CD, or a disk, for BIOS and EFI machines. Kernel and initrd are on it once.

use super::iso::{self, Firmware};
use super::{Format, Job, OutputError};

/// `NAME-hybrid.iso`.
#[derive(Debug, Clone, Copy)]
pub struct IsoHybrid;

const NAME: &str = "iso-hybrid";

impl Format for IsoHybrid {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}-hybrid.iso")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut out = job.create(&format!("{}-hybrid.iso", job.name))?;
        iso::from_disk(NAME, job, out.file_mut(), Firmware { bios: true, efi: true })
    }
}
