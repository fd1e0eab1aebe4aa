//! `raw-hybrid`: one disk for BIOS and EFI machines. Kernel and initrd are on it once.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::bzimage::{self, Header};
use super::efi::{self, Bios, EfiDiskError};
use super::on_disk::Boot;
use super::{Format, Job, OutputError, grub};

/// `NAME-hybrid.img`.
#[derive(Debug, Clone, Copy)]
pub struct RawHybrid;

const NAME: &str = "raw-hybrid";

impl Format for RawHybrid {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}-hybrid.img")]
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut out = job.create(&format!("{}-hybrid.img", job.name))?;
        let path = out.path().to_owned();
        disk(NAME, job, out.file_mut(), &path, None)
    }
}

/// Writes the machine of `job` as a disk for both over `out`, which is at `path`.
pub(super) fn disk(
    format: &'static str,
    job: &Job<'_>,
    out: &mut File,
    path: &Path,
    size: Option<u64>,
) -> Result<(), OutputError> {
    let boot = Boot::from_disk(format, job)?;
    let (uki, stub) = efi::uki(format, job, &boot)?;
    let kernel = job.machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(format))?;
    let mut start = Vec::new();
    kernel.reader().take(bzimage::HEADER_LEN as u64).read_to_end(&mut start).map_err(|source| {
        let (path, into) = ("the kernel".into(), format.into());
        OutputError::Copy { path, origin: job.machine.boot.to_string(), into, source }
    })?;
    let header =
        Header::parse(&start).map_err(|source| OutputError::Disk { format, source: Box::new(source) })?;
    let grub = grub::directory();
    let bios = Bios { cmdline: &boot.cmdline, cmdline_limit: header.cmdline_size as usize, grub: &grub };
    match efi::write_hybrid(out, uki, stub.boot_name, size, boot.root.as_ref(), bios) {
        Ok(_) => Ok(()),
        Err(EfiDiskError::Write(source)) => Err(OutputError::io("write", path)(source)),
        Err(source) => Err(OutputError::Disk { format, source: Box::new(source) }),
    }
}
