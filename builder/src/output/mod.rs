//! Output formats: one module a format, over shared writers.

use crate::tree::{Content, Tree};

/// What a build makes, before it becomes a format.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// The kernel, ready for a boot loader.
    pub kernel: Option<Content>,
    /// The kernel command line.
    pub cmdline: String,
    /// Processor microcode as an uncompressed cpio archive.
    pub ucode: Option<Content>,
    /// The root filesystem, without `boot/`.
    pub root: Tree,
}
