//! The command line of `mountie`.

use lk_command::command::{NotSeconds, Patience, WAIT};
use lk_command::flags::{Flag, Parsed};

/// What `-h` prints.
pub const USAGE: &str = "\
mountie: finds a file system and mounts it

usage: mountie [-device D | -label L | -uuid U] [-wait SECONDS] [D] MOUNTPOINT

  -device     mount this device; D before MOUNTPOINT is the same
  -label      mount the file system with this label
  -uuid       mount the file system with this UUID
  -wait       how long to wait for it to appear (default 10, and 1 when nothing is named)

With nothing named, the one Linux file system that is not mounted is taken; without any, the mount point
stays in memory.
";

/// Its flags.
pub const FLAGS: &[Flag] = &[
    Flag { name: "device", takes_value: true },
    Flag { name: "label", takes_value: true },
    Flag { name: "uuid", takes_value: true },
    WAIT,
];

/// How the file system was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// By its device.
    Device(String),
    /// By its label.
    Label(String),
    /// By its UUID.
    Uuid(String),
    /// Not at all.
    Any,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The file system.
    pub wanted: Wanted,
    /// Where to mount it.
    pub mount_point: String,
    /// How long to wait for it.
    pub wait: Patience,
}

/// Why the command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// `-wait` is no number of seconds.
    #[error(transparent)]
    Wait(#[from] NotSeconds),
    /// The file system is named in two ways.
    #[error("name the file system once: by -device, -label, -uuid, or before the mount point")]
    Twice,
    /// There is no mount point.
    #[error("the mount point is missing")]
    NoMountPoint,
    /// Too many arguments.
    #[error("{0:?}: is one argument too many")]
    TooMany(String),
    /// The mount point is relative.
    #[error("{0}: the mount point must be an absolute path")]
    Relative(String),
}

/// What a command line asks for.
pub fn options(parsed: Parsed) -> Result<Options, UsageError> {
    let (device, mount_point) = match parsed.positional.as_slice() {
        [] => return Err(UsageError::NoMountPoint),
        [mount_point] => (None, mount_point),
        [device, mount_point] => (Some(device.as_str()), mount_point),
        [_, _, extra, ..] => return Err(UsageError::TooMany(extra.clone())),
    };
    let named = [
        device.map(|d| Wanted::Device(d.to_owned())),
        parsed.value("device").map(|d| Wanted::Device(d.to_owned())),
        parsed.value("label").map(|l| Wanted::Label(l.to_owned())),
        parsed.value("uuid").map(|u| Wanted::Uuid(u.to_owned())),
    ];
    let mut named = named.into_iter().flatten().filter(|wanted| match wanted {
        Wanted::Device(name) | Wanted::Label(name) | Wanted::Uuid(name) => !name.is_empty(),
        Wanted::Any => false,
    });
    let wanted = named.next().unwrap_or(Wanted::Any);
    if named.next().is_some() {
        return Err(UsageError::Twice);
    }
    if !mount_point.starts_with('/') {
        return Err(UsageError::Relative(mount_point.clone()));
    }
    let wait = Patience::read(&parsed)?;
    Ok(Options { wanted, mount_point: mount_point.clone(), wait })
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
        for (line, wanted) in [
            ("/var/lib/docker", Wanted::Any),
            ("-label docker /var/lib/docker", Wanted::Label("docker".into())),
            ("--uuid=a-b /var/lib/docker", Wanted::Uuid("a-b".into())),
            ("-device /dev/sda1 /var/lib/docker", Wanted::Device("/dev/sda1".into())),
            ("/dev/sda1 /var/lib/docker", Wanted::Device("/dev/sda1".into())),
        ] {
            let options = read(line).unwrap();
            assert_eq!((options.wanted, options.mount_point.as_str()), (wanted, "/var/lib/docker"), "{line}");
        }
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        for (line, error) in [
            ("", UsageError::NoMountPoint),
            ("-label a", UsageError::NoMountPoint),
            ("-label a -uuid b /var/x", UsageError::Twice),
            ("-device /dev/a /dev/b /var/x", UsageError::Twice),
            ("a b /c", UsageError::TooMany("/c".into())),
            ("var/x", UsageError::Relative("var/x".into())),
            ("-wait x /var/x", UsageError::Wait(NotSeconds("x".into()))),
        ] {
            assert_eq!(read(line), Err(error), "{line}");
        }
    }
}
