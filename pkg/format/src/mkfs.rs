//! The file systems that can be made, and the program that makes each.

use lk_command::size::MIB;

/// A file system that `format` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsType {
    /// `mkfs.ext4`, which is in this package.
    Ext4,
    /// `mkfs.btrfs`, when the image has it.
    Btrfs,
    /// `mkfs.xfs`, when the image has it.
    Xfs,
}

impl FsType {
    /// Its name, which is also what `blkid` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Btrfs => "btrfs",
            Self::Xfs => "xfs",
        }
    }

    /// The program that makes it.
    pub fn program(self) -> &'static str {
        match self {
            Self::Ext4 => "mkfs.ext4",
            Self::Btrfs => "mkfs.btrfs",
            Self::Xfs => "mkfs.xfs",
        }
    }

    /// The smallest disk, in bytes, on which one is useful: the program's own limit and the table's two MiB.
    pub fn smallest_disk(self) -> u64 {
        match self {
            Self::Ext4 => 16 * MIB,
            Self::Btrfs => 128 * MIB,
            Self::Xfs => 304 * MIB,
        }
    }

    /// The program's arguments for the partition `node`.
    pub fn arguments(self, label: Option<&str>, node: &str) -> Vec<String> {
        let force = match self {
            Self::Ext4 => &["-F", "-q"][..],
            Self::Btrfs | Self::Xfs => &["-f", "-q"][..],
        };
        let mut arguments: Vec<String> = force.iter().map(|a| (*a).to_owned()).collect();
        if let Some(label) = label {
            arguments.extend(["-L".to_owned(), label.to_owned()]);
        }
        arguments.push(node.to_owned());
        arguments
    }

    /// Whether the file system can carry `label`; if not, why.
    pub fn check_label(self, label: &str) -> Result<(), String> {
        let longest = match self {
            Self::Ext4 => 16,
            Self::Btrfs => 255,
            Self::Xfs => 12,
        };
        if label.len() > longest {
            return Err(format!(
                "a label of {} has at most {longest} bytes, this one {}",
                self.name(),
                label.len()
            ));
        }
        match label.chars().find(|c| c.is_control() || *c == '/') {
            Some(c) => Err(format!("a label cannot hold {c:?}")),
            None => Ok(()),
        }
    }
}
