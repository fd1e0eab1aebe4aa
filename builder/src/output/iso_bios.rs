//! `iso-bios`: a CD, or a disk, for BIOS machines, with the root file system on it.

use super::iso::{self, Firmware};
use super::{Format, Job, OutputError};

/// `NAME.iso`.
#[derive(Debug, Clone, Copy)]
pub struct IsoBios;

const NAME: &str = "iso-bios";

impl Format for IsoBios {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.iso")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut out = job.create(&format!("{}.iso", job.name))?;
        iso::from_disk(NAME, job, out.file_mut(), Firmware { bios: true, efi: false })
    }
}
