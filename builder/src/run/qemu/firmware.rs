//! EFI firmware for machines that boot by it.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Where distributions put firmware for x86-64, and the variable store that it begins with: Debian and Ubuntu, Fedora,
/// Arch Linux.
const PLACES: [(&str, &str); 4] = [
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
];

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
    #[error("found no EFI firmware: install the Debian package ovmf, or name its file with --fw")]
    Missing,
    /// The file is not there.
    #[error("the firmware {} is not there", .0.display())]
    NoFile(PathBuf),
}

/// The firmware that was asked for, or the distribution's. The variable store of a file `…CODE…` is `…VARS…` beside it.
///
/// # Errors
/// When there is none.
pub fn find(asked: Option<&Path>, is_file: &dyn Fn(&Path) -> bool) -> Result<Found, FirmwareError> {
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
        PLACES.iter().find(|(code, variables)| [code, variables].iter().all(|file| is_file(Path::new(file))));
    let (code, variables) = found.ok_or(FirmwareError::Missing)?;
    Ok(Found { code: code.into(), variables: Some(variables.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_among(asked: Option<&str>, files: &[&str]) -> Result<Found, FirmwareError> {
        find(asked.map(Path::new), &|path| files.iter().any(|file| Path::new(file) == path))
    }

    #[test]
    fn firmware_is_the_one_asked_for_or_the_distributions() {
        let (code, vars) = PLACES[0];
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
        assert!(find_among(None, &[PLACES[0].0]).unwrap_err().to_string().contains("package ovmf"));
        assert!(find_among(Some("/no"), &[]).unwrap_err().to_string().contains("/no is not there"));
    }
}
