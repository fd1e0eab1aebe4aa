//! The machine's block devices and what they hold: sysfs, partition tables and superblocks, read anew at each look.

mod hardware;
mod sysfs;

pub use sysfs::Sysfs;

use std::fmt;

use super::identify::Content;
use super::partitions::Partition;

/// A disk or a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockDevice {
    /// Its node below `/dev`.
    pub name: String,
    /// Major and minor number.
    pub number: (u32, u32),
    /// Of a partition: its disk's name, and the kernel's number for it.
    pub part_of: Option<(String, u32)>,
    /// Size in bytes.
    pub bytes: u64,
    /// What the disk's table says of a partition.
    pub partition: Partition,
    /// Of a disk: the kind of its partition table.
    pub table: Option<&'static str>,
    /// What it holds.
    pub content: Option<Content>,
    /// Names by hardware: `by-id/…` and `by-path/…`.
    pub hardware: Vec<String>,
    /// Why it could not be read.
    pub problem: Option<String>,
}

impl BlockDevice {
    /// The path of its node.
    #[must_use]
    pub fn node(&self) -> String {
        format!("/dev/{}", self.name)
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.content.as_ref()?.label.as_deref()
    }

    /// Its file system's UUID.
    #[must_use]
    pub fn uuid(&self) -> Option<&str> {
        self.content.as_ref()?.uuid.as_deref()
    }
}

/// One line for people: node, size, and all that it can be called by. Labels are quoted and escaped.
impl fmt::Display for BlockDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} MiB", self.node(), self.bytes >> 20)?;
        if let Some(problem) = &self.problem {
            return write!(f, " ({problem})");
        }
        let kind = self.content.as_ref().map(|content| content.kind).or(self.table);
        write!(f, " {}", kind.unwrap_or("(nothing known)"))?;
        let names = [
            ("LABEL", self.label()),
            ("UUID", self.uuid()),
            ("PARTLABEL", self.partition.label.as_deref()),
            ("PARTUUID", self.partition.uuid.as_deref()),
        ];
        for (name, value) in names {
            match value {
                Some(value) if name.ends_with("LABEL") => write!(f, " {name}={value:?}")?,
                Some(value) => write!(f, " {name}={}", value.escape_debug())?,
                None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
