//! What is different between two root filesystems, and what is beside them on their disks, entry by entry.
//!
//! Times are not compared: images keep those of the files' making, which say nothing about what runs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::contents::{Listed, Listing, ListingError, Spot, What};
use crate::tree::display;

/// One entry that is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its path, from the root on; of what is beside the root, the volume and a colon come first.
    pub path: String,
    /// How.
    #[serde(flatten)]
    pub how: How,
}

/// How an entry is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum How {
    /// Only the second has it.
    Added {
        /// What it is, in a few words.
        what: String,
    },
    /// Only the first has it.
    Removed {
        /// What it is, in a few words.
        what: String,
    },
    /// Both have it.
    Changed {
        /// At least one.
        differences: Vec<Difference>,
    },
}

/// One property of an entry that is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `type`, `mode`, `owner`, `size`, `content`, `target`, `device`, `link`, the name of an attribute, or of what a disk says
    /// about a part of it.
    pub property: String,
    /// In the first.
    pub before: String,
    /// In the second.
    pub after: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::Added { what } => write!(f, "+ {} {what}", self.path),
            How::Removed { what } => write!(f, "- {} {what}", self.path),
            How::Changed { differences } => {
                let all: Vec<String> = differences.iter().map(ToString::to_string).collect();
                write!(f, "~ {} {}", self.path, all.join(", "))
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As much of a digest as people compare.
        let short = |text: &str| match self.property.as_str() {
            "content" => text.chars().take("sha256:".len() + 12).collect(),
            _ => text.to_owned(),
        };
        write!(f, "{} {} → {}", self.property, short(&self.before), short(&self.after))
    }
}

/// Every entry that is different, by path.
///
/// # Errors
/// When a file cannot be read. Only files of equal length are.
pub fn compare(before: &Listing, after: &Listing) -> Result<Vec<Change>, ListingError> {
    let mut pairs: BTreeMap<&Spot, (Option<&Listed>, Option<&Listed>)> = BTreeMap::new();
    before.entries().for_each(|(spot, entry)| pairs.entry(spot).or_default().0 = Some(entry));
    after.entries().for_each(|(spot, entry)| pairs.entry(spot).or_default().1 = Some(entry));
    let mut changes = Vec::new();
    for (spot, pair) in pairs {
        let how = match pair {
            (None, None) => continue,
            (None, Some(new)) => How::Added { what: new.describe() },
            (Some(old), None) => How::Removed { what: old.describe() },
            (Some(old), Some(new)) => {
                let mut differences = differences(old, new);
                if let (What::File(one), What::File(other)) = (&old.what, &new.what)
                    && one.len() == other.len()
                {
                    let digests = (before.digest(spot, one)?, after.digest(spot, other)?);
                    note(&mut differences, "content", digests.0.to_string(), digests.1.to_string());
                }
                match differences.is_empty() {
                    true => continue,
                    false => How::Changed { differences },
                }
            }
        };
        changes.push(Change { path: spot.to_string(), how });
    }
    Ok(changes)
}

/// All that can be seen without reading a file.
fn differences(old: &Listed, new: &Listed) -> Vec<Difference> {
    let mut found = Vec::new();
    note(&mut found, "type", old.what.name().to_owned(), new.what.name().to_owned());
    note(&mut found, "mode", format!("{:04o}", old.mode), format!("{:04o}", new.mode));
    note(&mut found, "owner", old.owner(), new.owner());
    match (&old.what, &new.what) {
        (What::File(one), What::File(other)) => {
            note(&mut found, "size", one.len().to_string(), other.len().to_string());
        }
        (What::Symlink(one), What::Symlink(other)) => note(&mut found, "target", text(one), text(other)),
        (What::Device(one), What::Device(other)) | (What::Disk(one), What::Disk(other)) => {
            let number = |(major, minor): &(u32, u32)| format!("{major}:{minor}");
            note(&mut found, "device", number(one), number(other));
        }
        (What::Part(one), What::Part(other)) => {
            let names =
                one.iter().chain(other.iter().filter(|(name, _)| !one.iter().any(|(n, _)| n == name)));
            for (name, _) in names {
                let value = |facts: &[(&str, String)]| {
                    let fact = facts.iter().find(|(known, _)| known == name);
                    fact.map_or_else(|| "none".to_owned(), |(_, value)| value.clone())
                };
                note(&mut found, name, value(one), value(other));
            }
        }
        _ => {}
    }
    let link =
        |entry: &Listed| entry.link_to.as_ref().map_or_else(|| "none".to_owned(), |path| display(path));
    note(&mut found, "link", link(old), link(new));
    let names = old.xattrs.keys().chain(new.xattrs.keys().filter(|name| !old.xattrs.contains_key(*name)));
    for name in names {
        let value = |entry: &Listed| entry.xattrs.get(name).map_or_else(|| "none".to_owned(), |v| text(v));
        note(&mut found, &text(name), value(old), value(new));
    }
    found
}

fn note(found: &mut Vec<Difference>, property: &str, before: String, after: String) {
    if before != after {
        found.push(Difference { property: property.to_owned(), before, after });
    }
}

/// Bytes that are most likely text, on one line.
fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::output::Machine;
    use crate::tree::{Kind, Node, Origin, Tree};

    fn listing(nodes: &[(&str, Kind, u32)]) -> Listing {
        let origin = Arc::new(Origin::default());
        let mut root = Tree::new();
        for (path, kind, mode) in nodes {
            root.insert(path.as_bytes(), Node::generated(kind.clone(), *mode, &origin)).unwrap();
        }
        Listing::of_machine("m", &Machine { root, ..Machine::default() })
    }

    fn file(text: &str) -> Kind {
        Kind::File(text.as_bytes().into())
    }

    fn told(before: &[(&str, Kind, u32)], after: &[(&str, Kind, u32)]) -> Vec<String> {
        let changes = compare(&listing(before), &listing(after)).unwrap();
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_equal_is_not_told() {
        let nodes = [("a", file("x"), 0o644), ("d/l", Kind::Symlink(b"../a".to_vec()), 0o777)];
        assert_eq!(told(&nodes, &nodes), [""; 0]);
    }

    #[test]
    fn each_difference_of_an_entry_is_told() {
        let link = |target: &str| Kind::Symlink(target.as_bytes().to_vec());
        let device = |minor| Kind::CharDevice { major: 1, minor };
        let hard = Kind::Hardlink(b"a".to_vec());
        for (before, after, expected) in [
            ((file("x"), 0o644), (file("x"), 0o755), "~ /b mode 0644 → 0755"),
            ((file("x"), 0o644), (file("xyz"), 0o644), "~ /b size 1 → 3"),
            ((file("x"), 0o644), (file("y"), 0o644), "~ /b content sha256:2d711642b7 → sha256:a1fce4363854"),
            ((file("x"), 0o644), (Kind::Fifo, 0o644), "~ /b type file → pipe"),
            ((link("p"), 0o777), (link("q"), 0o777), "~ /b target p → q"),
            ((device(3), 0o666), (device(5), 0o666), "~ /b device 1:3 → 1:5"),
            ((file("a"), 0o644), (hard, 0o644), "~ /b link none → /a"),
        ] {
            let a = ("a", file("a"), 0o644);
            let told = told(&[a.clone(), ("b", before.0, before.1)], &[a, ("b", after.0, after.1)]);
            assert_eq!(told.len(), 1, "{told:?}");
            let (start, end) = expected.split_once(" → ").unwrap();
            assert!(told[0].starts_with(start) && told[0].contains(end), "{told:?} is not {expected}");
        }
    }

    #[test]
    fn what_only_one_has_is_added_or_removed() {
        let (a, b) = (("a", file("xyz"), 0o600), ("d", Kind::Directory, 0o755));
        assert_eq!(
            told(std::slice::from_ref(&a), &[b]),
            ["- /a file, 3 bytes, 0600, 0:0", "+ /d directory, 0755, 0:0"]
        );
    }
}
