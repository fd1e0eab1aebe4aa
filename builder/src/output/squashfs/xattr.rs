//! Extended attributes: sets of names and values, each set stored once, and a table of sets that inodes name.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use crate::output::hashed_file::HashedFile;
use crate::tree::{Tree, display};

use super::directory::too_many;
use super::table::{Blocks, lookup_table};

/// The only kinds of attributes that the format has, by number.
const KINDS: [&str; 3] = ["user.", "trusted.", "security."];

/// The first file of a tree with an attribute of another kind, in words; access lists are such.
pub(super) fn excess(tree: &Tree) -> Option<String> {
    tree.iter().find_map(|(path, node)| {
        let odd = node.xattrs.keys().find(|name| split(name).is_none())?;
        let (name, path) = (String::from_utf8_lossy(odd), display(path));
        let origin = &node.origin;
        Some(format!(
            "{path} of {origin} has the attribute {name}, and only user.*, trusted.* and security.* are possible; EROFS keeps it"
        ))
    })
}

/// The number of an attribute's kind, and the rest of its name.
fn split(name: &[u8]) -> Option<(u16, &[u8])> {
    (0..).zip(KINDS).find_map(|(number, kind)| Some((number, name.strip_prefix(kind.as_bytes())?)))
}

/// The sets of a tree.
pub(super) struct Xattrs {
    numbers: HashMap<Vec<u8>, u32>,
    /// Names and values.
    pairs: Blocks,
    /// Of each set: where it is, how many attributes it has, and its size in bytes.
    sets: Vec<u8>,
}

impl Xattrs {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { numbers: HashMap::new(), pairs: Blocks::new()?, sets: Vec::new() })
    }

    /// The number of this set; `None` for the empty one. All names must be of one of the format's kinds.
    pub(super) fn add(&mut self, xattrs: &BTreeMap<Vec<u8>, Vec<u8>>) -> io::Result<Option<u32>> {
        let mut bytes = Vec::new();
        for (name, value) in xattrs {
            let Some((kind, name)) = split(name) else { continue };
            // Names have 255 bytes at most, values 64 KiB.
            bytes.extend(kind.to_le_bytes());
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend(name);
            bytes.extend((value.len() as u32).to_le_bytes());
            bytes.extend(value);
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let next = u32::try_from(self.numbers.len()).map_err(|_| too_many())?;
        if let Some(number) = self.numbers.get(&bytes) {
            return Ok(Some(*number));
        }
        self.sets.extend(self.pairs.place().reference().to_le_bytes());
        for number in [xattrs.len(), bytes.len()] {
            self.sets.extend(u32::try_from(number).map_err(|_| too_many())?.to_le_bytes());
        }
        self.pairs.push(&bytes)?;
        self.numbers.insert(bytes, next);
        Ok(Some(next))
    }

    /// Writes them. Returns where the list of the table's blocks is, or `None` when there are no attributes.
    pub(super) fn write(self, out: &mut HashedFile<'_>) -> io::Result<Option<u64>> {
        let Ok(count @ 1..) = u32::try_from(self.numbers.len()) else { return Ok(None) };
        let pairs = out.position();
        out.write_all(&self.pairs.finish()?)?;
        // Where the pairs are, and the number of sets.
        let mut header = pairs.to_le_bytes().to_vec();
        header.extend(count.to_le_bytes());
        header.extend(0_u32.to_le_bytes());
        lookup_table(out, &self.sets, &header).map(Some)
    }
}
