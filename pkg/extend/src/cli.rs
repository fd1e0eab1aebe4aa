//! The command line of `extend`.

use lk_command::command::{NotSeconds, Patience, WAIT};
use lk_command::flags::{Flag, Parsed};

use crate::grow::Fs;

/// What `-h` prints.
pub const USAGE: &str = "\
extend: gives a partition and its file system the rest of a disk that has grown

usage: extend [-type ext4|btrfs|xfs] [-stop-on-error=true|false] [-wait SECONDS] [-verbose] [DEV]...

  DEV             the whole disks to look at; without any, all
  -type           only this file system (default: any of the three)
  -stop-on-error  whether the first disk that fails ends it (default true)
  -wait           how long to wait for a named disk to appear (default 10)
  -verbose        say which disks were looked at, and each step
";

/// Its flags.
pub const FLAGS: &[Flag] = &[
    Flag { name: "type", takes_value: true },
    Flag { name: "stop-on-error", takes_value: false },
    WAIT,
    Flag { name: "verbose", takes_value: false },
];

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The file system, when only one kind is to grow.
    pub fs: Option<Fs>,
    /// The first disk that fails ends it.
    pub stop_on_error: bool,
    /// How long to wait for a named disk.
    pub wait: Patience,
    /// Say more.
    pub verbose: bool,
    /// The disks, when they were named.
    pub devices: Vec<String>,
}

/// Why the command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// `-wait` is no number of seconds.
    #[error(transparent)]
    Wait(#[from] NotSeconds),
    /// `-type` names a file system that does not grow here.
    #[error("-type {0}: is ext4, btrfs or xfs")]
    Type(String),
}

/// What a command line asks for.
///
/// # Errors
/// [`UsageError`] says what is wrong with it.
pub fn options(parsed: Parsed) -> Result<Options, UsageError> {
    let fs = match parsed.value("type") {
        None | Some("") => None,
        Some(name) => Some(Fs::by_name(name).ok_or_else(|| UsageError::Type(name.to_owned()))?),
    };
    Ok(Options {
        fs,
        stop_on_error: parsed.value("stop-on-error") != Some("false"),
        wait: Patience::read(&parsed)?,
        verbose: parsed.is_set("verbose"),
        devices: parsed.positional.into_iter().filter(|device| !device.is_empty()).collect(),
    })
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
        let nothing = read("").unwrap();
        assert_eq!((nothing.fs, nothing.stop_on_error, nothing.devices.len()), (None, true, 0));
        let all = read("-type xfs -stop-on-error=false /dev/sda /dev/sdb").unwrap();
        assert_eq!((all.fs, all.stop_on_error), (Some(Fs::Xfs), false));
        assert_eq!(all.devices, ["/dev/sda", "/dev/sdb"]);
        assert_eq!(read("-type ntfs"), Err(UsageError::Type("ntfs".into())));
    }
}
