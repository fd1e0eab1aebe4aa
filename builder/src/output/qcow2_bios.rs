//! `qcow2-bios`: a disk of a chosen size for BIOS machines, in the format that clouds and qemu take.

use std::fs::File;

use super::qcow2::{self, Qcow2Error};
use super::{Format, Job, OutputError, raw_bios};

/// `NAME.qcow2`.
#[derive(Debug, Clone, Copy)]
pub struct Qcow2Bios;

const NAME: &str = "qcow2-bios";

impl Format for Qcow2Bios {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.qcow2")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut raw = job.scratch(&format!("{}-{NAME}", job.name))?;
        let raw_path = raw.path().to_owned();
        raw_bios::disk(NAME, job, raw.file_mut(), &raw_path, Some(job.size))?;
        convert(NAME, job, raw.file_mut(), &format!("{}.qcow2", job.name))
    }
}

/// Writes a raw disk as the qcow2 file `name` of the output.
pub(super) fn convert(
    format: &'static str,
    job: &Job<'_>,
    raw: &mut File,
    name: &str,
) -> Result<(), OutputError> {
    let mut out = job.create(name)?;
    let path = out.path().to_owned();
    match qcow2::write(raw, out.file_mut()) {
        Ok(()) => Ok(()),
        Err(Qcow2Error::Write(source)) => Err(OutputError::io("write", &path)(source)),
        Err(source) => Err(OutputError::Disk { format, source: Box::new(source) }),
    }
}
