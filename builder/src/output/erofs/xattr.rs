//! Extended attributes, behind the inode that has them.

use std::collections::BTreeMap;

use crate::tree::{Tree, display};

/// What comes before the attributes: a filter that none is in, and the number of those that inodes share.
const HEADER: u64 = 12;
/// Bytes of a value: one less than Linux allows elsewhere.
const MAX_VALUE: usize = u16::MAX as usize;
/// Attributes begin at multiples of so many bytes.
const UNIT: usize = 4;
/// The beginnings of names that are numbers, with these.
const KINDS: [(&str, u8); 5] = [
    ("user.", 1),
    ("system.posix_acl_access", 2),
    ("system.posix_acl_default", 3),
    ("trusted.", 4),
    ("security.", 6),
];

type Set = BTreeMap<Vec<u8>, Vec<u8>>;

/// The first file of a tree with more attributes than an inode takes, or with one of an unknown kind, in words.
pub(super) fn excess(tree: &Tree) -> Option<String> {
    tree.iter().find_map(|(path, node)| {
        let (path, origin) = (display(path), &node.origin);
        if let Some(odd) = node.xattrs.keys().find(|name| split(name).is_none()) {
            let name = String::from_utf8_lossy(odd);
            return Some(format!(
                "{path} of {origin} has the attribute {name}, and only user.*, trusted.*, security.* and access lists are possible"
            ));
        }
        if let Some((name, value)) = node.xattrs.iter().find(|(_, value)| value.len() > MAX_VALUE) {
            let (name, len) = (String::from_utf8_lossy(name), value.len());
            return Some(format!(
                "{path} of {origin} has {len} bytes in its attribute {name}, and {MAX_VALUE} are possible"
            ));
        }
        let (len, most) = (len(&node.xattrs), HEADER + UNIT as u64 * (u64::from(u16::MAX) - 1));
        (len > most).then(|| format!("{path} of {origin} has attributes of {len} bytes, and {most} are possible"))
    })
}

/// The number of a name's beginning, and the rest of the name.
fn split(name: &[u8]) -> Option<(u8, &[u8])> {
    KINDS.iter().find_map(|(kind, number)| {
        let rest = name.strip_prefix(kind.as_bytes())?;
        // A name that is all beginning has no rest.
        (kind.ends_with('.') || rest.is_empty()).then_some((*number, rest))
    })
}

/// Bytes that a set takes.
pub(super) fn len(set: &Set) -> u64 {
    bytes(set).len() as u64
}

/// What an inode says about their length: units, the header counted as one; 0 for none.
pub(super) fn count(set: &Set) -> u16 {
    match len(set) {
        0 => 0,
        // Within `excess`.
        len => ((len - HEADER) / UNIT as u64 + 1) as u16,
    }
}

/// A set as it lies behind its inode.
pub(super) fn bytes(set: &Set) -> Vec<u8> {
    if set.is_empty() {
        return Vec::new();
    }
    let mut bytes = vec![0; HEADER as usize];
    for (name, value) in set {
        let Some((kind, name)) = split(name) else { continue };
        // Names have 255 bytes at most.
        bytes.extend([name.len() as u8, kind]);
        bytes.extend((value.len() as u16).to_le_bytes());
        bytes.extend(name);
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(UNIT), 0);
    }
    bytes
}
