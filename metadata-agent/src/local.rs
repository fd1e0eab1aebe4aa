//! What this machine can say without a network: files below `/sys`, `/proc` and `/dev`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::volume::{self, Volume, VolumeError};

/// Largest kernel command line that is read, in bytes: twice what any architecture takes.
const MAX_COMMAND_LINE: usize = 16 * 1024;

/// Where the kernel's file systems are.
#[derive(Debug, Clone)]
pub struct Local {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
}

impl Local {
    /// This machine's.
    #[must_use]
    pub fn this() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into(), dev: "/dev".into() }
    }

    /// The same layout below `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { sys: root.join("sys"), proc: root.join("proc"), dev: root.join("dev") }
    }

    /// The kernel's command line; empty if it can't be read.
    #[must_use]
    pub fn command_line(&self) -> String {
        read_text(&self.proc.join("cmdline"), MAX_COMMAND_LINE).unwrap_or_default()
    }

    /// The first block device with a file system of one of these labels. Where `/sys` lists no block devices there
    /// are none.
    ///
    /// # Errors
    /// [`VolumeError`] if one could not be looked at.
    pub fn volume(&self, labels: &[&str]) -> Result<Option<Volume>, VolumeError> {
        let blocks = self.sys.join("class/block");
        if blocks.exists() { volume::find_below(&blocks, &self.dev, labels) } else { Ok(None) }
    }

    /// The volumes in all optical drives.
    ///
    /// # Errors
    /// [`VolumeError`] if block devices can't be listed.
    pub fn drives(&self) -> Result<Vec<Volume>, VolumeError> {
        let blocks = self.sys.join("class/block");
        if blocks.exists() { volume::drives_below(&blocks, &self.dev) } else { Ok(Vec::new()) }
    }
}

/// A small text file, without space around; none if it is not there, too long, or no text.
#[must_use]
pub fn read_text(path: &Path, limit: usize) -> Option<String> {
    let text = String::from_utf8(read_bytes(path, limit)?).ok()?;
    Some(text.trim().to_owned())
}

/// A small file; none if it is not there, too long, or can't be read.
#[must_use]
pub fn read_bytes(path: &Path, limit: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too long.
    File::open(path).ok()?.take(limit as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() <= limit).then_some(bytes)
}
