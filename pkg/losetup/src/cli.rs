//! The command line of `loopy`.

use lk_command::flags::{Flag, Parsed};

/// What `-h` prints.
pub const USAGE: &str = "\
loopy: makes a block device of a file

usage: loopy [-c] [-s MIB] [-d DEVICE] FILE

  FILE          the file
  -c, --create  make FILE, of zeros, when it is not there
  -s, --size    its size in MiB when it is made (default 10)
  -d, --dev     the loop device (default /dev/loop0)
";

/// The size of a new file, in MiB, when none is given.
const SIZE: u64 = 10;
/// The largest size, in MiB: 16 TiB, which is ext4's largest file.
const LARGEST: u64 = 1 << 24;

/// Its flags.
pub const FLAGS: &[Flag] = &[
    Flag { name: "c", takes_value: false },
    Flag { name: "create", takes_value: false },
    Flag { name: "s", takes_value: true },
    Flag { name: "size", takes_value: true },
    Flag { name: "d", takes_value: true },
    Flag { name: "dev", takes_value: true },
];

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The file.
    pub file: String,
    /// Make it when it is not there.
    pub create: bool,
    /// Its size in bytes when it is made.
    pub size: u64,
    /// The loop device's node.
    pub device: String,
}

/// Why the command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// The size is none.
    #[error("--size {0}: is a number of MiB from 1 to {LARGEST}")]
    NotASize(String),
    /// There is no file.
    #[error("the file is missing")]
    NoFile,
    /// Too many arguments.
    #[error("{0:?}: name one file only")]
    TooMany(String),
}

/// What a command line asks for.
///
/// # Errors
/// [`UsageError`] says what is wrong with it.
pub fn options(parsed: Parsed) -> Result<Options, UsageError> {
    let size = match parsed.value("size").or(parsed.value("s")) {
        None => SIZE,
        Some(text) => match text.parse() {
            Ok(size @ 1..=LARGEST) => size,
            _ => return Err(UsageError::NotASize(text.to_owned())),
        },
    };
    let device = parsed.value("dev").or(parsed.value("d")).unwrap_or("/dev/loop0");
    let device = if device.starts_with('/') { device.to_owned() } else { format!("/dev/{device}") };
    let create = parsed.is_set("c") || parsed.is_set("create");
    let mut positional = parsed.positional.into_iter();
    let file = positional.next().filter(|file| !file.is_empty()).ok_or(UsageError::NoFile)?;
    match positional.next() {
        None => Ok(Options { file, create, size: size << 20, device }),
        Some(second) => Err(UsageError::TooMany(second)),
    }
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
        let options = |create, mib: u64, device: &str| {
            Ok(Options { file: "/var/f".into(), create, size: mib << 20, device: device.into() })
        };
        for (line, wanted) in [
            ("/var/f", options(false, 10, "/dev/loop0")),
            ("-c /var/f", options(true, 10, "/dev/loop0")),
            ("--create --size 20 --dev /dev/loop3 /var/f", options(true, 20, "/dev/loop3")),
            ("-c -s 1 -d loop7 /var/f", options(true, 1, "/dev/loop7")),
        ] {
            assert_eq!(read(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (line, error) in [
            ("", UsageError::NoFile),
            ("-c", UsageError::NoFile),
            ("a b", UsageError::TooMany("b".into())),
            ("-s 0 f", UsageError::NotASize("0".into())),
            ("-s 10M f", UsageError::NotASize("10M".into())),
            ("-s 99999999 f", UsageError::NotASize("99999999".into())),
        ] {
            assert_eq!(read(line), Err(error), "{line}");
        }
    }
}
