//! A mapping with a LUKS header: `cryptsetup` makes and reads it.

use lk_command::program::{ProgramError, Programs, account};

/// `cryptsetup` did not do it.
#[derive(Debug, thiserror::Error)]
pub enum LuksError {
    /// It is not there.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// It failed.
    #[error("{device}: cryptsetup cannot {what} it: {account}{}", advice(*.code))]
    Failed {
        /// The device.
        device: String,
        /// What was being done.
        what: &'static str,
        /// What it said.
        account: String,
        /// Its exit status.
        code: Option<i32>,
    },
}

fn advice(code: Option<i32>) -> &'static str {
    match code {
        // cryptsetup(8), RETURN CODES
        Some(2) => "; the key is another one",
        Some(3) => "; it takes 64 MiB of memory for a moment",
        _ => "",
    }
}

/// Writes a LUKS2 header. How much the key costs to try is fixed, not measured on the machine: 4 passes over 64 MiB.
///
/// # Errors
/// [`LuksError`]
pub fn make(device: &str, key: &str, programs: &Programs) -> Result<(), LuksError> {
    let costs = [
        "--pbkdf",
        "argon2id",
        "--pbkdf-memory",
        "65536",
        "--pbkdf-force-iterations",
        "4",
        "--pbkdf-parallel",
        "1",
    ];
    let arguments = ["luksFormat", "--batch-mode", "--type", "luks2", "--key-file", key];
    run(device, "make", programs, arguments.into_iter().chain(costs).chain([device]))
}

/// Opens it as `/dev/mapper/NAME`.
///
/// # Errors
/// [`LuksError`]
pub fn open(name: &str, device: &str, key: &str, programs: &Programs) -> Result<(), LuksError> {
    // The kernel's keyring is not there in every container.
    let arguments = ["open", "--type", "luks", "--disable-keyring", "--key-file", key, device, name];
    run(device, "open", programs, arguments)
}

fn run<'a>(
    device: &str,
    what: &'static str,
    programs: &Programs,
    arguments: impl IntoIterator<Item = &'a str>,
) -> Result<(), LuksError> {
    let output = programs.run("cryptsetup", arguments)?;
    if output.status.success() {
        return Ok(());
    }
    Err(LuksError::Failed {
        device: device.to_owned(),
        what,
        account: account(&output),
        code: output.status.code(),
    })
}
