//! The command line of `crypto`.

use lk_command::command::{NotSeconds, Patience, WAIT};
use lk_command::flags::{Flag, Parsed};

/// What `-h` prints.
pub const USAGE: &str = "\
crypto: opens an encrypted device, and makes one of a blank one

usage: crypto [-l] [-k KEYFILE] [-force] [-wait SECONDS] NAME DEV

  NAME            the opened device is /dev/mapper/NAME
  DEV             the encrypted one
  -l, --luks      with a LUKS header
  -k, --key-file  the key (default key); relative to /etc/dm-crypt
  -force          make it anew whatever DEV holds
  -wait           how long to wait for DEV to appear (default 10)
";

/// Where key files are.
const KEYS: &str = "/etc/dm-crypt/";
/// Longest name, in bytes (`DM_NAME_LEN`, linux/dm-ioctl.h).
const LONGEST: usize = 127;

/// Its flags.
pub const FLAGS: &[Flag] = &[
    Flag { name: "l", takes_value: false },
    Flag { name: "luks", takes_value: false },
    Flag { name: "k", takes_value: true },
    Flag { name: "key-file", takes_value: true },
    Flag { name: "force", takes_value: false },
    WAIT,
];

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// With a LUKS header.
    pub luks: bool,
    /// The key's file.
    pub key: String,
    /// Make it anew whatever is there.
    pub force: bool,
    /// How long to wait for the device.
    pub wait: Patience,
    /// The opened device's name.
    pub name: String,
    /// The encrypted device.
    pub device: String,
}

/// Why the command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// `-wait` is no number of seconds.
    #[error(transparent)]
    Wait(#[from] NotSeconds),
    /// Too few or too many arguments.
    #[error("name the mapping and its device, and nothing else")]
    Arguments,
    /// The name is none for a file in `/dev/mapper`.
    #[error(
        "{0:?}: a name has 1 to {LONGEST} letters, digits and any of `+-_.`, and does not begin with a dot; `control` is taken"
    )]
    Name(String),
}

/// What a command line asks for.
///
/// # Errors
/// [`UsageError`] says what is wrong with it.
pub fn options(parsed: Parsed) -> Result<Options, UsageError> {
    let key = parsed.value("key-file").or(parsed.value("k")).filter(|key| !key.is_empty()).unwrap_or("key");
    let key = if key.starts_with('/') { key.to_owned() } else { format!("{KEYS}{key}") };
    let luks = parsed.is_set("l") || parsed.is_set("luks");
    let (force, wait) = (parsed.is_set("force"), Patience::read(&parsed)?);
    let [name, device] = <[String; 2]>::try_from(parsed.positional).map_err(|_| UsageError::Arguments)?;
    let letter = |c: char| c.is_ascii_alphanumeric() || "+-_.".contains(c);
    if !(1..=LONGEST).contains(&name.len())
        || name.starts_with('.')
        || name == "control"
        || !name.chars().all(letter)
    {
        return Err(UsageError::Name(name));
    }
    if device.is_empty() {
        return Err(UsageError::Arguments);
    }
    Ok(Options { luks, key, force, wait, name, device })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use lk_command::flags;

    use super::*;

    fn read(line: &str) -> Result<Options, UsageError> {
        options(flags::parse(FLAGS, line.split_whitespace().map(OsString::from)).unwrap())
    }

    #[test]
    fn linuxkits_command_lines_are_understood() {
        let options = |luks, key: &str| Options {
            luks,
            key: key.into(),
            force: false,
            wait: Patience::default(),
            name: "secret".into(),
            device: "/dev/sda1".into(),
        };
        for (line, wanted) in [
            ("secret /dev/sda1", options(false, "/etc/dm-crypt/key")),
            ("-l secret /dev/sda1", options(true, "/etc/dm-crypt/key")),
            ("--luks -k some-key secret /dev/sda1", options(true, "/etc/dm-crypt/some-key")),
            ("--key-file /run/config/key secret /dev/sda1", options(false, "/run/config/key")),
        ] {
            assert_eq!(read(line), Ok(wanted), "{line}");
        }
    }

    #[test]
    fn names_that_are_no_files_in_dev_mapper_are_refused() {
        for line in ["", "secret", "a b c"] {
            assert_eq!(read(line), Err(UsageError::Arguments), "{line}");
        }
        let long = "n".repeat(128);
        for name in ["../sda", ".", ".hidden", "control", "a/b", "a:b", &long] {
            assert_eq!(read(&format!("{name} /dev/sda")), Err(UsageError::Name(name.into())), "{name}");
        }
    }
}
