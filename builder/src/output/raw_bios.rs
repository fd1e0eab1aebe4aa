//! `raw-bios`: a disk for BIOS machines, as small as its content.

use std::fs::File;
use std::path::Path;

use super::bios_disk::{self, BiosDiskError, BootParts, Part};
use super::on_disk::Boot;
use super::{Format, Job, OutputError, bios_gpt_disk, grub};

/// `NAME-bios.img`.
#[derive(Debug, Clone, Copy)]
pub struct RawBios;

const NAME: &str = "raw-bios";

impl Format for RawBios {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}-bios.img")]
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut out = job.create(&format!("{}-bios.img", job.name))?;
        let path = out.path().to_owned();
        disk(NAME, job, out.file_mut(), &path, None)
    }
}

/// Writes the machine of `job` as a BIOS disk over `out`, which is at `path`.
pub(super) fn disk(
    format: &'static str,
    job: &Job<'_>,
    out: &mut File,
    path: &Path,
    size: Option<u64>,
) -> Result<(), OutputError> {
    let kernel = job.machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(format))?;
    let boot = Boot::from_disk(format, job)?;
    let initrd = &boot.initrd;
    let mut initrd_file = File::open(initrd).map_err(OutputError::io("read", initrd))?;
    let initrd_len = initrd_file.metadata().map_err(OutputError::io("read", initrd))?.len();
    let parts = BootParts {
        kernel: Part { content: &mut kernel.reader(), len: kernel.len() },
        initrd: Part { content: &mut initrd_file, len: initrd_len },
        cmdline: &boot.cmdline,
    };
    let written = match &boot.root {
        None => bios_disk::write(out, parts, size, &grub::directory()),
        Some(root) => bios_gpt_disk::write(out, parts, root, size, &grub::directory()),
    };
    match written {
        Ok(_) => Ok(()),
        Err(BiosDiskError::Write(source)) => Err(OutputError::io("write", path)(source)),
        Err(source) => Err(OutputError::Disk { format, source: Box::new(source) }),
    }
}
