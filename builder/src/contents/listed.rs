//! One entry of a listing: where it is, and what it is.

use std::collections::BTreeMap;
use std::fmt;

use super::found::What;
use crate::tree::{TreePath, display};

/// Where an entry is. Those of the root come first.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Empty in the root; else `disk`, `partition 1`, `initrd`, ….
    pub volume: String,
    /// The path in the volume.
    pub path: TreePath,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.volume.as_str() {
            "" => f.write_str(&display(&self.path)),
            volume => write!(f, "{volume}:{}", display(&self.path)),
        }
    }
}

/// One entry.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What it is.
    pub what: What,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes, by full name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Of a file with several names, the first of them, in all the others.
    pub link_to: Option<TreePath>,
    /// What it is made of is listed, too.
    pub is_looked_into: bool,
}

impl Listed {
    /// User and group, as chown(1) has them.
    #[must_use]
    pub fn owner(&self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }

    /// `file, 3 bytes, 0644, 0:0`
    #[must_use]
    pub fn describe(&self) -> String {
        let size = match &self.what {
            What::File(bytes) => format!(", {} bytes", bytes.len()),
            What::Part(facts) => {
                let facts = facts.iter().map(|(name, value)| format!(", {name} {value}"));
                return format!("{}{}", self.what.name(), facts.collect::<String>());
            }
            _ => String::new(),
        };
        format!("{}{size}, {:04o}, {}", self.what.name(), self.mode, self.owner())
    }
}

impl What {
    /// In a word or two.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File(_) => "file",
            Self::Symlink(_) => "symbolic link",
            Self::Device(_) => "character device",
            Self::Disk(_) => "block device",
            Self::Pipe => "pipe",
            Self::Socket => "socket",
            Self::Part(_) => "part",
        }
    }
}
