//! The command line of `format`.

use lk_command::command::{NotSeconds, Patience, WAIT};
use lk_command::flags::{Flag, Parsed};

use crate::mkfs::FsType;
use crate::table::TableKind;

/// What `-h` prints.
pub const USAGE: &str = "\
format: partitions and formats a blank disk, and only a blank one

usage: format [-force] [-label L] [-type ext4|btrfs|xfs] [-partition dos|gpt] [-wait SECONDS] [-verbose] [DEV]

  DEV         the whole disk to format; without it, the first blank disk is taken
  -force      format DEV whatever it holds
  -label      label of the file system; without DEV, nothing is done when a file system has it already
  -type       file system (default ext4)
  -partition  kind of partition table (default dos, and gpt for a disk of more than 2 TiB)
  -wait       how long to wait for a disk to appear (default 2, and 10 for DEV)
  -verbose    say which disks were looked at, and each step
";

/// Its flags.
pub const FLAGS: &[Flag] = &[
    Flag { name: "force", takes_value: false },
    Flag { name: "label", takes_value: true },
    Flag { name: "type", takes_value: true },
    Flag { name: "partition", takes_value: true },
    WAIT,
    Flag { name: "verbose", takes_value: false },
];

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Format the named device whatever it holds.
    pub force: bool,
    /// Label of the file system.
    pub label: Option<String>,
    /// The file system to make.
    pub fs: FsType,
    /// The kind of partition table; `None` leaves it to the disk's size.
    pub table: Option<TableKind>,
    /// How long to wait for a disk.
    pub wait: Patience,
    /// Say more.
    pub verbose: bool,
    /// The disk, when it was named.
    pub device: Option<String>,
}

/// Why the command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// `-wait` is no number of seconds.
    #[error(transparent)]
    Wait(#[from] NotSeconds),
    /// `-type` names a file system that is not offered.
    #[error("-type {0}: is ext4, btrfs or xfs")]
    Type(String),
    /// `-partition` names a kind of table that is not offered.
    #[error("-partition {0}: is dos or gpt")]
    Partition(String),
    /// The label does not fit the file system.
    #[error("-label {label:?}: {why}")]
    Label {
        /// The label.
        label: String,
        /// What is wrong with it.
        why: String,
    },
    /// More than one device.
    #[error("{0:?}: name one disk at most")]
    TooMany(String),
}

/// What a command line asks for.
pub fn options(parsed: Parsed) -> Result<Options, UsageError> {
    let fs = match parsed.value("type") {
        None | Some("" | "ext4") => FsType::Ext4,
        Some("btrfs") => FsType::Btrfs,
        Some("xfs") => FsType::Xfs,
        Some(other) => return Err(UsageError::Type(other.to_owned())),
    };
    let table = match parsed.value("partition") {
        None | Some("") => None,
        Some("dos") => Some(TableKind::Dos),
        Some("gpt") => Some(TableKind::Gpt),
        Some(other) => return Err(UsageError::Partition(other.to_owned())),
    };
    let wait = Patience::read(&parsed)?;
    let label = parsed.value("label").filter(|l| !l.is_empty()).map(str::to_owned);
    if let Some(label) = &label {
        fs.check_label(label).map_err(|why| UsageError::Label { label: label.clone(), why })?;
    }
    if let Some(second) = parsed.positional.get(1) {
        return Err(UsageError::TooMany(second.clone()));
    }
    Ok(Options {
        force: parsed.is_set("force"),
        label,
        fs,
        table,
        wait,
        verbose: parsed.is_set("verbose"),
        device: parsed.positional.into_iter().next().filter(|d| !d.is_empty()),
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
        assert_eq!((nothing.fs, nothing.table, nothing.force), (FsType::Ext4, None, false));
        let all = read("-force -label docker -type xfs -partition gpt -verbose /dev/sda").unwrap();
        assert_eq!(
            all,
            Options {
                force: true,
                label: Some("docker".into()),
                fs: FsType::Xfs,
                table: Some(TableKind::Gpt),
                wait: Patience::default(),
                verbose: true,
                device: Some("/dev/sda".into()),
            }
        );
    }

    #[test]
    fn what_cannot_work_is_refused_before_a_disk_is_looked_at() {
        for (line, part) in [
            ("-type ntfs", "ntfs"),
            ("-partition bsd", "bsd"),
            ("-wait soon", "soon"),
            ("-wait 999999", "3600"),
            ("-label this-is-too-long-for-it", "16 bytes"),
            ("-type xfs -label thirteen-long", "12 bytes"),
            ("/dev/sda /dev/sdb", "/dev/sdb"),
        ] {
            let message = read(line).unwrap_err().to_string();
            assert!(message.contains(part), "{line}: {message}");
        }
    }
}
