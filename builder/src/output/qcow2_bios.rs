//! `qcow2-bios`: a disk of a chosen size for BIOS machines, in the format that clouds and qemu take.

use super::{Format, Job, OutputError, convert, qcow2};

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

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        convert::bios_disk(NAME, job, job.settings.size, &format!("{}.qcow2", job.name), qcow2::write)
    }
}
