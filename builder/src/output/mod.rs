//! Output formats: one module a format, over shared writers.

mod aws;
pub mod bios_disk;
mod bios_gpt_disk;
mod boot_files;
pub mod bzimage;
pub mod convert;
mod cpio;
mod discoverable;
mod docker;
mod dynamic_vhd;
pub mod efi;
mod erofs;
pub mod fat;
mod fat32;
mod firecracker;
mod gcp;
pub mod gpt;
pub mod grub;
mod hashed_file;
mod image;
mod initrd;
mod inodes;
pub mod iso;
mod iso_bios;
mod iso_efi;
mod iso_efi_initrd;
mod iso_hybrid;
mod job;
mod kernel_image;
mod kernel_initrd;
mod kernel_iso;
mod kernel_root;
mod kubevirt;
mod lost;
pub mod mbr;
mod member;
pub mod metadata_cd;
mod on_disk;
pub mod partition;
mod pending;
pub mod qcow2;
mod qcow2_bios;
mod qcow2_efi;
mod raw_bios;
mod raw_efi;
mod raw_hybrid;
mod rpi3;
mod settings;
mod shared;
mod sparse;
mod squashfs;
mod stream_vmdk;
mod tar;
mod tar_kernel_initrd;
#[cfg(test)]
mod tests;
mod uki;
mod verity;
mod vhd;
mod vhd_footer;
mod vhdx;
mod vmdk;
pub mod vmlinux;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::image::{Digest, ImageError};
use crate::tree::{Content, LayerError, Node, Origin, Tree};

pub use aws::Aws;
pub use docker::Docker;
pub use dynamic_vhd::DynamicVhd;
pub use firecracker::Firecracker;
pub use gcp::Gcp;
pub use image::{ImageFormat, write_image, write_saved};
pub use initrd::Compression;
pub use iso_bios::IsoBios;
pub use iso_efi::IsoEfi;
pub use iso_efi_initrd::IsoEfiInitrd;
pub use iso_hybrid::IsoHybrid;
pub use job::{Built, Job, write, write_stream, write_whole};
pub use kernel_initrd::KernelInitrd;
pub use kernel_iso::KernelIso;
pub use kernel_root::{KernelErofs, KernelSquashfs};
pub use kubevirt::KubeVirt;
pub use pending::PendingFile;
pub use qcow2_bios::Qcow2Bios;
pub use qcow2_efi::Qcow2Efi;
pub use raw_bios::RawBios;
pub use raw_efi::RawEfi;
pub use raw_hybrid::RawHybrid;
pub use rpi3::Rpi3;
pub use settings::{FileSystem, Root, Settings};
pub use tar::Tar;
pub use tar_kernel_initrd::TarKernelInitrd;
pub use uki::UnifiedKernel;
pub use vhd::Vhd;
pub use vhdx::Vhdx;
pub use vmdk::Vmdk;

/// What a build makes, before it becomes a format.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// The kernel, ready for a boot loader.
    pub kernel: Option<Content>,
    /// The kernel command line.
    pub cmdline: String,
    /// Processor microcode as an uncompressed cpio archive.
    pub ucode: Option<Content>,
    /// Where kernel, command line and microcode came from.
    pub boot: Arc<Origin>,
    /// The root filesystem, without `boot/`.
    pub root: Tree,
}

impl Machine {
    /// What formats with files for a boot loader have under `boot/`, the directory first; nothing without a kernel.
    #[must_use]
    pub fn boot_files(&self) -> Vec<(&'static str, Node)> {
        let Some(kernel) = &self.kernel else { return Vec::new() };
        let file = |content: &Content| Node::file(content.clone(), 0o644, &self.boot);
        let mut files = vec![
            ("boot", Node::directory(&self.boot)),
            ("boot/cmdline", file(&self.cmdline.as_bytes().into())),
            ("boot/kernel", file(kernel)),
        ];
        files.extend(self.ucode.as_ref().map(|ucode| ("boot/ucode.cpio", file(ucode))));
        files
    }
}

/// One output format.
pub trait Format: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// The files that a build called `name` makes, without their directory.
    fn files(&self, name: &str) -> Vec<String>;

    /// Whether it is a disk with partitions, of which the root filesystem may be one.
    fn has_partitions(&self) -> bool {
        false
    }

    /// Makes them, with [`Job::create`].
    ///
    /// # Errors
    /// When the machine lacks what the format needs, or something cannot be read or written.
    fn write(&self, job: &Job<'_>) -> Result<(), OutputError>;

    /// Writes the format as one stream, if it can be: what `lkb build -o FILE` does.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn stream(&self, machine: &Machine, out: &mut dyn Write) -> Option<Result<(), OutputError>> {
        let _ = (machine, out);
        None
    }
}

/// All formats, in the order in which help names them.
pub static FORMATS: &[&dyn Format] = &[
    &KernelInitrd,
    &KernelSquashfs,
    &KernelErofs,
    &TarKernelInitrd,
    &Tar,
    &Docker,
    &RawBios,
    &Qcow2Bios,
    &RawEfi,
    &Qcow2Efi,
    &RawHybrid,
    &UnifiedKernel,
    &KernelIso,
    &IsoBios,
    &IsoEfi,
    &IsoHybrid,
    &IsoEfiInitrd,
    &KubeVirt,
    &Firecracker,
    &Rpi3,
    &Aws,
    &Gcp,
    &Vhd,
    &DynamicVhd,
    &Vhdx,
    &Vmdk,
];

/// The format of this name.
#[must_use]
pub fn format(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// Looks that all formats can have the root where the user wants it, and checked as the user wants it.
///
/// # Errors
/// When one has no partitions, and the root is to be in one; when the root is to be checked, and in none.
pub fn can_have_root(settings: &Settings, formats: &[&dyn Format]) -> Result<(), OutputError> {
    let Some(Root::Partition(file_system)) = settings.root else {
        return match formats.first().filter(|_| settings.verity) {
            None => Ok(()),
            Some(format) => Err(OutputError::Unfit {
                format: format.name(),
                reason: "--verity is for roots in a partition; add --root squashfs or --root erofs".into(),
            }),
        };
    };
    let name = file_system.name();
    formats.iter().try_for_each(|format| match format.has_partitions() {
        true => Ok(()),
        false => Err(OutputError::Unfit {
            format: format.name(),
            reason: format!(
                "it has no partition for --root {name}; leave that out, or build a disk or kernel+{name}"
            ),
        }),
    })
}

/// Looks that no two of the formats write the same file of a build called `name`.
///
/// # Errors
/// When two do.
pub fn distinct(name: &str, formats: &[&dyn Format]) -> Result<(), OutputError> {
    let mut makers = BTreeMap::new();
    for format in formats {
        for file in format.files(name) {
            if let Some(other) = makers.insert(file.clone(), format.name()) {
                return Err(OutputError::same_file(format.name(), other, &file));
            }
        }
    }
    Ok(())
}

/// Why an output cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The operating system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: a verb, and a preposition if it needs one.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Something of an image or of the cache cannot be read or written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A file of the machine cannot be copied into the output.
    #[error("cannot copy {path} of {origin} into {into}: {source}")]
    Copy {
        /// Its path in the machine.
        path: String,
        /// Where it came from.
        origin: String,
        /// The kind of output.
        into: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A layer of an image cannot be unpacked.
    #[error("image {image}: layer {layer}: {source}")]
    Layer {
        /// The image.
        image: String,
        /// The blob.
        layer: Digest,
        /// Why.
        source: Box<LayerError>,
    },
    /// A disk image cannot be made.
    #[error("cannot make {format}")]
    Disk {
        /// The format.
        format: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The format cannot hold what the machine has, or needs what the machine lacks.
    #[error("cannot make {format}: {reason}")]
    Unfit {
        /// The format.
        format: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// Somebody else is making the same file.
    #[error("{} is being written by another build; wait for it, or build under another name", .0.display())]
    Busy(PathBuf),
}

impl OutputError {
    /// For `map_err` on a system call: `OutputError::io("write", path)`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Two formats of one build that write the same file.
    fn same_file(format: &'static str, other: &str, file: &str) -> Self {
        let reason = match format == other {
            true => "it is asked for twice; name it once".into(),
            false => format!("{other} makes {file}, too; build one after the other, with another --name"),
        };
        Self::Unfit { format, reason }
    }

    /// A machine without a kernel, for formats that boot one.
    #[must_use]
    pub fn no_kernel(format: &'static str) -> Self {
        let reason =
            "the configuration names no kernel; add `kernel: {image: …}`, or build the tar format".into();
        Self::Unfit { format, reason }
    }
}
