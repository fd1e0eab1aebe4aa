//! GRUB for BIOS machines, put together without GRUB's own tools.
//!
//! Read are the files that GRUB's build leaves for `grub-mkimage` (Debian: package `grub-pc-bin`); made are the two
//! things a disk needs: the code in the first sector, and the core image behind it.
//!
//! | file | duty |
//! |---|---|
//! | `cd.rs` | the same for CDs |
//! | `config.rs` | the embedded configuration, and its quoting |
//! | `core_image.rs` | kernel + modules + configuration → core image |
//! | `elf.rs` | the little of ELF that the other two need |
//! | `verbatim.rs` | lets a command line through that GRUB would quote anew |

mod cd;
mod config;
mod core_image;
mod elf;
mod verbatim;

use std::path::{Path, PathBuf};
use std::{fs, io};

use thiserror::Error;

pub use cd::{CdCode, cd_code};
pub use config::{CommandLineError, LinuxEntry};
pub use elf::ElfError;
pub use verbatim::VerbatimError;

use super::mbr;

/// Where Debian's `grub-pc-bin` keeps the files.
pub const DEFAULT_DIR: &str = "/usr/lib/grub/i386-pc";
/// The environment variable that names another directory.
pub const DIR_VARIABLE: &str = "LKB_GRUB_DIR";

/// In `boot.img`: the sector of the core image (`u64`).
const BOOT_CORE: usize = 0x5C;
/// No file of GRUB's is larger (the largest, `normal.mod`, has 126 KiB).
const FILE_LIMIT: u64 = 4 << 20;

/// Why GRUB could not be put together.
#[derive(Debug, Error)]
pub enum GrubError {
    /// A file of GRUB's is not there.
    #[error(
        "cannot read GRUB's {}: install the Debian package grub-pc-bin, or name its directory in {DIR_VARIABLE}",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of GRUB's is far larger than any release's.
    #[error("GRUB's {} is larger than 4 MiB: this is no file of grub-pc-bin", .0.display())]
    TooLarge(PathBuf),
    /// A file of GRUB's has another size than the boot protocol asks for.
    #[error("GRUB's {name} has {len} bytes instead of {expected}: is the directory i386-pc of grub-pc-bin?")]
    Size {
        /// The file's name.
        name: &'static str,
        /// Its length.
        len: usize,
        /// The length it must have.
        expected: usize,
    },
    /// An ELF file of GRUB's cannot be read.
    #[error("GRUB's {name} is damaged")]
    Elf {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        source: ElfError,
    },
    /// `moddep.lst` does not know a module.
    #[error("GRUB's moddep.lst has no module {0:?}")]
    UnknownModule(String),
    /// The command line can be told to no kernel.
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    /// GRUB's quoting cannot be switched off.
    #[error("cannot hand this command line to the kernel as it is written")]
    Verbatim(#[from] VerbatimError),
    /// The LZMA encoder failed.
    #[error("cannot compress GRUB's core image")]
    Compress(#[source] io::Error),
    /// The core image does not fit before the first partition.
    #[error("GRUB's core image has {len} bytes and does not fit into the {room} before the first partition")]
    NoRoom {
        /// Its length in bytes.
        len: usize,
        /// The room for it in bytes.
        room: usize,
    },
}

/// GRUB as it goes on a disk with an MBR: the core image follows the first sector at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootCode {
    /// The code part of the first sector.
    pub mbr: [u8; mbr::CODE],
    /// What begins at the sector that it was built for; a whole number of sectors.
    pub core: Vec<u8>,
}

/// The directory of GRUB's files: `LKB_GRUB_DIR`, else Debian's.
#[must_use]
pub fn directory() -> PathBuf {
    std::env::var_os(DIR_VARIABLE).filter(|dir| !dir.is_empty()).unwrap_or_else(|| DEFAULT_DIR.into()).into()
}

/// Where GRUB lies on a disk, and where what it boots does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The sector of the core image.
    pub first: u64,
    /// Bytes that it may take there.
    pub room: usize,
    modules: &'static [&'static str],
    prefix: &'static str,
}

impl Place {
    /// In the second sector of a disk with an MBR, whose first partition is FAT and has the kernel as a file.
    #[must_use]
    pub const fn behind_mbr(room: usize) -> Self {
        let modules = &["biosdisk", "part_msdos", "fat", "linux16"];
        Self { first: 1, room, modules, prefix: "(,msdos1)/" }
    }

    /// In the first partition of a disk with a GPT; the kernel is a list of sectors of the second one.
    #[must_use]
    pub const fn in_gpt(first: u64, room: usize) -> Self {
        Self { first, room, modules: &["biosdisk", "part_gpt", "linux16"], prefix: "(,gpt2)/" }
    }
}

/// Builds GRUB so that it boots `entry` from its own disk, at once and without a menu.
///
/// # Errors
/// When GRUB's files are not in `dir` or not what they should be, when the command line cannot be told to a kernel,
/// or when the result is larger than its room.
pub fn boot_code(dir: &Path, entry: &LinuxEntry<'_>, place: Place) -> Result<BootCode, GrubError> {
    let Place { first, room, modules, prefix } = place;
    let files = Files { dir };
    let modules = core_image::modules(&files, modules, entry)?;
    let core = core_image::build(&files, &modules, &entry.config()?, prefix, first)?;
    if core.len() > room {
        return Err(GrubError::NoRoom { len: core.len(), room });
    }
    let boot = files.sized::<512>("boot.img")?;
    let mut mbr = [0; mbr::CODE];
    mbr.copy_from_slice(&boot[..mbr::CODE]);
    mbr[BOOT_CORE..BOOT_CORE + 8].copy_from_slice(&first.to_le_bytes());
    Ok(BootCode { mbr, core })
}

/// GRUB's directory.
struct Files<'a> {
    dir: &'a Path,
}

impl Files<'_> {
    fn read(&self, name: &str) -> Result<Vec<u8>, GrubError> {
        let path = self.dir.join(name);
        match fs::metadata(&path)
            .and_then(|meta| if meta.len() > FILE_LIMIT { Ok(None) } else { fs::read(&path).map(Some) })
        {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(GrubError::TooLarge(path)),
            Err(source) => Err(GrubError::Read { path, source }),
        }
    }

    fn sized<const N: usize>(&self, name: &'static str) -> Result<[u8; N], GrubError> {
        let bytes = self.read(name)?;
        let len = bytes.len();
        bytes.try_into().map_err(|_| GrubError::Size { name, len, expected: N })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: LinuxEntry<'_> = LinuxEntry {
        kernel: "/kernel",
        initrd: "/initrd.img",
        cmdline: "console=ttyS0",
        cmdline_limit: 2047,
    };

    #[test]
    fn a_missing_grub_names_the_package() {
        let error = boot_code(Path::new("/nonexistent"), &ENTRY, Place::behind_mbr(1 << 20)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/nonexistent/") && text.contains("grub-pc-bin"), "{text}");
    }

    #[test]
    fn a_core_image_that_would_reach_into_the_partition_is_refused() {
        let error = boot_code(Path::new(DEFAULT_DIR), &ENTRY, Place::behind_mbr(62 * 512)).unwrap_err();
        assert!(matches!(error, GrubError::NoRoom { .. }), "{error}");
    }

    #[test]
    fn two_builds_are_equal() {
        let build = || boot_code(Path::new(DEFAULT_DIR), &ENTRY, Place::behind_mbr(2047 * 512)).unwrap();
        assert_eq!(build(), build());
    }
}
