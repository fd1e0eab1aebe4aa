//! `uki`: one EFI program, for a boot loader, for the network, or to be signed.

use std::io;

use super::on_disk::Boot;
use super::{Format, Job, OutputError, efi};

/// `NAME.efi`.
#[derive(Debug, Clone, Copy)]
pub struct UnifiedKernel;

const NAME: &str = "uki";

impl Format for UnifiedKernel {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.efi")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let (uki, _) = efi::uki(NAME, job, &Boot::in_memory(job)?)?;
        let mut out = job.create(&format!("{}.efi", job.name))?;
        let path = out.path().to_owned();
        io::copy(&mut uki.into_reader(), &mut out).map_err(OutputError::io("write", &path))?;
        Ok(())
    }
}
