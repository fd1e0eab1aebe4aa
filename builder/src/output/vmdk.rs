//! `vmdk`: a disk that vSphere, Workstation and VirtualBox import.

use super::{Format, Job, OutputError, convert, stream_vmdk};

/// `NAME.vmdk`: streamOptimized, for an LSI Logic controller.
#[derive(Debug, Clone, Copy)]
pub struct Vmdk;

const NAME: &str = "vmdk";

impl Format for Vmdk {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.vmdk")]
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        convert::bios_disk(NAME, job, job.settings.size, &format!("{}.vmdk", job.name), stream_vmdk::write)
    }
}
