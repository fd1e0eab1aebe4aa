//! The two trees of parameters that settings are written to. Pure.

use crate::key::{Key, KeyError};

/// A tree of files that are parameters, with the names that LinuxKit gave its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    /// The command.
    pub command: &'static str,
    /// What `--help` prints.
    pub usage: &'static str,
    /// Where the files of settings are, unless said otherwise.
    pub config: &'static str,
    /// Where the parameters are, unless said otherwise.
    pub parameters: &'static str,
    /// The option that says otherwise.
    pub option: &'static str,
    /// Whether a parameter may be reached through links that stay in the tree.
    pub links: bool,
}

/// `sysctl`, for the kernel's parameters. None of them is a link.
pub const SYSCTL: Tree = Tree {
    command: "sysctl",
    usage: "\
usage: sysctl [-configDir DIRECTORY] [-sysctlDir DIRECTORY]

Writes the kernel parameters of every file in a directory, in the order of the files' names; a later setting wins.

  -configDir DIRECTORY   where the files are (/etc/sysctl.d)
  -sysctlDir DIRECTORY   where the kernel's parameters are (/proc/sys)

A line is KEY = VALUE, a comment after # or ;, or empty. KEY has dots or slashes, as in sysctl.d(5); a - before it
ignores its failure. A setting that fails is a warning. Exit status: 0, or 1 when no file could be read.
",
    config: "/etc/sysctl.d",
    parameters: "/proc/sys",
    option: "sysctlDir",
    links: false,
};

/// `sysfs`, for the attributes of devices, drivers and subsystems. `/sys/class` and `/sys/bus` are links to `/sys/devices`.
pub const SYSFS: Tree = Tree {
    command: "sysfs",
    usage: "\
usage: sysfs [-configDir DIRECTORY] [-sysfsDir DIRECTORY]

Writes the attributes of every file in a directory, in the order of the files' names; a later setting wins.

  -configDir DIRECTORY   where the files are (/etc/sysfs.d)
  -sysfsDir DIRECTORY    where the attributes are (/sys)

A line is PATH = VALUE, a comment after # or ;, or empty. PATH is below /sys; a - before it ignores its failure. A
setting that fails is a warning. Exit status: 0, or 1 when no file could be read.
",
    config: "/etc/sysfs.d",
    parameters: "/sys",
    option: "sysfsDir",
    links: true,
};

impl Tree {
    /// Reads the name of a parameter; LinuxKit's `sysfs` takes a slash before it.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with it.
    pub fn key(&self, text: &str) -> Result<Key, KeyError> {
        Key::new(if self.links { text.strip_prefix('/').unwrap_or(text) } else { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_sys_may_begin_with_a_slash_and_leads_nowhere_else() {
        for (text, path) in [
            ("kernel/mm/ksm/run", Ok("kernel/mm/ksm/run")),
            ("/kernel/mm/ksm/run", Ok("kernel/mm/ksm/run")),
            ("bus/pci/devices/0000:00:01.0/power/control", Ok("bus/pci/devices/0000:00:01.0/power/control")),
            ("//kernel", Err(KeyError::Leaves)),
            ("/../etc/passwd", Err(KeyError::Leaves)),
            ("/", Err(KeyError::Empty)),
        ] {
            assert_eq!(SYSFS.key(text).as_ref().map(Key::path), path.as_ref().map(|p| *p), "{text}");
        }
        assert_eq!(SYSCTL.key("/kernel/x"), Err(KeyError::Leaves));
    }
}
