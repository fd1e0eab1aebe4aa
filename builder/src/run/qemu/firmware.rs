//! EFI firmware for machines that boot by it.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::arch::Arch;

/// Firmware that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The code.
    pub code: PathBuf,
    /// What a new machine's variable store is copied from; `None` where code and variables are one file.
    pub variables: Option<PathBuf>,
}

/// Why there is no firmware.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FirmwareError {
    /// It is nowhere.
    #[error("found no EFI firmware for {}: install the Debian package {}, or name its file with --fw", .0.name(), .0.firmware_package())]
    Missing(Arch),
    /// Such machines have none.
    #[error("{} machines have no EFI: leave out --uefi and --fw", .0.name())]
    NotThere(Arch),
    /// The file is not there.
    #[error("the firmware {} is not there", .0.display())]
    NoFile(PathBuf),
}

/// The firmware that was asked for, or the distribution's. The variable store of a file `…CODE…` is `…VARS…` beside it.
///
/// # Errors
/// When there is none.
pub fn find(
    arch: Arch,
    asked: Option<&Path>,
    is_file: &dyn Fn(&Path) -> bool,
) -> Result<Found, FirmwareError> {
    let places = arch.firmware();
    if places.is_empty() {
        return Err(FirmwareError::NotThere(arch));
    }
    if let Some(code) = asked {
        if !is_file(code) {
            return Err(FirmwareError::NoFile(code.to_owned()));
        }
        let name = code.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let beside = code.with_file_name(name.replace("CODE", "VARS"));
        let variables = Some(beside).filter(|beside| beside != code && is_file(beside));
        return Ok(Found { code: code.to_owned(), variables });
    }
    let found =
        places.iter().find(|(code, variables)| [code, variables].iter().all(|file| is_file(Path::new(file))));
    let (code, variables) = found.ok_or(FirmwareError::Missing(arch))?;
    Ok(Found { code: code.into(), variables: Some(variables.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_among(asked: Option<&str>, files: &[&str]) -> Result<Found, FirmwareError> {
        find(Arch::X86_64, asked.map(Path::new), &|path| files.iter().any(|file| Path::new(file) == path))
    }

    #[test]
    fn firmware_is_the_one_asked_for_or_the_distributions() {
        let (code, vars) = Arch::X86_64.firmware()[0];
        let firmware = |code: &str, variables: Option<&str>| {
            Ok(Found { code: code.into(), variables: variables.map(PathBuf::from) })
        };
        assert_eq!(find_among(None, &[code, vars, "/x"]), firmware(code, Some(vars)));
        assert_eq!(
            find_among(Some("/f/A_CODE.fd"), &["/f/A_CODE.fd", "/f/A_VARS.fd"]),
            firmware("/f/A_CODE.fd", Some("/f/A_VARS.fd"))
        );
        assert_eq!(find_among(Some("/f/A_CODE.fd"), &["/f/A_CODE.fd"]), firmware("/f/A_CODE.fd", None));
        assert_eq!(find_among(Some("/bios.bin"), &["/bios.bin"]), firmware("/bios.bin", None));
    }

    #[test]
    fn without_firmware_the_package_is_named() {
        assert!(
            find_among(None, &[Arch::X86_64.firmware()[0].0])
                .unwrap_err()
                .to_string()
                .contains("package ovmf")
        );
        assert!(find_among(Some("/no"), &[]).unwrap_err().to_string().contains("/no is not there"));
    }

    #[test]
    fn each_architecture_has_firmware_of_its_own_or_none() {
        for (arch, says) in [
            (Arch::Aarch64, "package qemu-efi-aarch64"),
            (Arch::Riscv64, "package qemu-efi-riscv64"),
            (Arch::S390x, "s390x machines have no EFI"),
        ] {
            let error = find(arch, None, &|_| false).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let found = find(Arch::Aarch64, None, &|_| true).unwrap();
        assert_eq!(found.code, Path::new("/usr/share/AAVMF/AAVMF_CODE.fd"));
    }
}
