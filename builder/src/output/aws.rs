//! `aws`: a raw disk of a chosen size for BIOS machines, which EC2's VM Import makes an image of.

use super::{Format, Job, OutputError, convert, raw_bios};

/// `NAME.raw`, with whole mebibytes, as VM Import wants it.
#[derive(Debug, Clone, Copy)]
pub struct Aws;

const NAME: &str = "aws";
const UNIT: u64 = 1 << 20;

impl Format for Aws {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.raw")]
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut out = job.create(&format!("{}.raw", job.name))?;
        let path = out.path().to_owned();
        let size = convert::whole(NAME, job.settings.size, UNIT)?;
        raw_bios::disk(NAME, job, out.file_mut(), &path, Some(size))
    }
}
