//! systemd's stub: the program that finds kernel, initrd and command line in its own file and starts the kernel.

use std::path::PathBuf;
use std::{fs, io};

use thiserror::Error;

use super::pe::{self, PeError};

/// Where Debian's `systemd-boot-efi` keeps the stubs.
const DEFAULT_DIR: &str = "/usr/lib/systemd/boot/efi";
/// The environment variable that names another directory.
pub const DIR_VARIABLE: &str = "LKB_EFI_STUB_DIR";
/// No release's stub is a tenth of that (bytes).
const LIMIT: u64 = 4 << 20;

/// Of each architecture: `Machine` in PE, the stub's file, and the file that firmware starts of a disk that it knows nothing
/// about (UEFI specification, 3.5.1.1).
const ARCHITECTURES: [(u16, &str, &str); 3] = [
    (pe::X86_64, "linuxx64.efi.stub", "BOOTX64.EFI"),
    (pe::ARM64, "linuxaa64.efi.stub", "BOOTAA64.EFI"),
    (pe::RISCV64, "linuxriscv64.efi.stub", "BOOTRISCV64.EFI"),
];

/// Why there is no stub for a kernel.
#[derive(Debug, Error)]
pub enum StubError {
    /// The kernel is no EFI program.
    #[error(
        "the kernel cannot be started by EFI firmware ({0}): it needs CONFIG_EFI_STUB, and must not be compressed as a file"
    )]
    Kernel(#[source] PeError),
    /// EFI firmware of that architecture is unknown here.
    #[error("the kernel is for an architecture ({0:#06x}) that is not one of x86-64, arm64 and riscv64")]
    Architecture(u16),
    /// The stub is not there.
    #[error(
        "cannot read systemd's EFI stub {}: install the Debian package systemd-boot-efi, or name its directory in \
         {DIR_VARIABLE}", path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is larger than 4 MiB: this is no EFI stub of systemd", .0.display())]
    TooLarge(PathBuf),
}

/// A stub for a kernel's architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// The program.
    pub program: Vec<u8>,
    /// What firmware looks for below `EFI/BOOT`.
    pub boot_name: &'static str,
}

impl Stub {
    /// Reads the stub for a kernel that begins with `start`.
    ///
    /// # Errors
    /// When the kernel is no EFI program, or the stub is not on this machine.
    pub fn for_kernel(start: &[u8]) -> Result<Self, StubError> {
        let dir = std::env::var_os(DIR_VARIABLE).map_or_else(|| PathBuf::from(DEFAULT_DIR), PathBuf::from);
        let (file, boot_name) = names(pe::machine(start).map_err(StubError::Kernel)?)?;
        let path = dir.join(file);
        let read = |source| StubError::Read { path: path.clone(), source };
        if fs::metadata(&path).map_err(read)?.len() > LIMIT {
            return Err(StubError::TooLarge(path));
        }
        Ok(Self { program: fs::read(&path).map_err(read)?, boot_name })
    }
}

fn names(machine: u16) -> Result<(&'static str, &'static str), StubError> {
    let found = ARCHITECTURES.iter().find(|(known, ..)| *known == machine);
    found.map(|(_, file, boot)| (*file, *boot)).ok_or(StubError::Architecture(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_architecture_has_its_stub_and_its_name_for_firmware() {
        assert_eq!(names(0x8664).unwrap(), ("linuxx64.efi.stub", "BOOTX64.EFI"));
        assert_eq!(names(0xAA64).unwrap().1, "BOOTAA64.EFI");
        assert!(names(0x014C).unwrap_err().to_string().contains("0x014c"));
    }

    #[test]
    fn a_kernel_that_firmware_cannot_start_says_what_it_needs() {
        let error = Stub::for_kernel(&[0x1f, 0x8b, 8, 0]).unwrap_err().to_string();
        assert!(error.contains("CONFIG_EFI_STUB"), "{error}");
    }
}
