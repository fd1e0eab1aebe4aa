//! An EFI system partition: FAT32 with one program, where firmware looks for it.

use std::fs::File;

use super::{EfiDiskError, Uki};
use crate::output::fat::{self, Geometry, Volume};
use crate::output::fat32::Layout;
use crate::output::mbr::SECTOR;
use crate::output::partition::Partition;

/// A stretch of a disk image, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemPartition {
    /// Its first byte, a multiple of 4096.
    pub start: u64,
    /// Its length, at least [`fat::fat32_len`] of the program's.
    pub len: u64,
}

impl SystemPartition {
    /// Makes the file system over zeros, and writes the program as `boot_name`, which firmware looks for below `EFI/BOOT`.
    ///
    /// # Errors
    /// When FAT32 cannot hold the program, or reading or writing fails.
    pub fn fill(&self, out: &mut File, uki: Uki<'_>, boot_name: &str) -> Result<(), EfiDiskError> {
        let hidden_sectors = u32::try_from(self.start / SECTOR).unwrap_or(u32::MAX);
        let identity = fat::Identity { label: *b"LKB BOOT   ", serial: 0x4C4B_0003, hidden_sectors };
        let geometry = Geometry::fat32(self.len)?;
        let mut volume = Volume::create(self.on(out), self.len, geometry, identity)?;
        let len = uki.len();
        volume.add(&path(boot_name), &mut uki.into_reader(), len)?;
        volume.finish()?;
        let mut partition = self.on(out);
        let layout = Layout::read(&mut partition).map_err(EfiDiskError::Write)?;
        layout.correct_parents(&mut partition).map_err(EfiDiskError::Write)
    }

    /// Where on the disk the program begins, in bytes.
    ///
    /// # Errors
    /// When it does not lie in one piece, its name is not a short one, or reading fails.
    pub fn start_of(&self, out: &mut File, boot_name: &str) -> Result<u64, EfiDiskError> {
        let mut partition = self.on(out);
        let layout = Layout::read(&mut partition);
        let start = layout.and_then(|layout| layout.start_of(&mut partition, &path(boot_name)));
        Ok(self.start + start.map_err(EfiDiskError::Write)?)
    }

    fn on<'a>(&self, out: &'a mut File) -> Partition<'a> {
        Partition::new(out, self.start, self.len)
    }
}

fn path(boot_name: &str) -> String {
    format!("EFI/BOOT/{boot_name}")
}

/// Where in a program kernel and initrd lie: offset and length in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Sections {
    kernel: (u64, u64),
    initrd: (u64, u64),
}

impl Sections {
    /// Those of a program that has both.
    #[must_use]
    pub fn of(uki: &Uki<'_>) -> Self {
        let [kernel, initrd] = [".linux", ".initrd"].map(|name| uki.place_of(name).unwrap_or_default());
        Self { kernel, initrd }
    }

    /// What a boot loader for BIOS reads: the sectors of kernel and initrd, when the program begins at `start` bytes.
    /// Both begin at a whole sector: the program's sections and the file system's clusters do.
    #[must_use]
    pub fn block_lists(&self, start: u64) -> (String, String) {
        let list = |(at, len): (u64, u64)| format!("{}+{}", (start + at) / SECTOR, len.div_ceil(SECTOR));
        (list(self.kernel), list(self.initrd))
    }
}
