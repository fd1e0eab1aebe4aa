//! User-data in any form, from anywhere.
//!
//! Holds for every document: what it makes are no more files than allowed, none of them metadata's own, none deeper
//! than a path can be, all together no larger than what may be unpacked; and every message has a text.

use metadata_agent::materialise::is_internal;
use metadata_agent::metadata::RESERVED;
use metadata_agent::tree::{Entries, Node, count};
use metadata_agent::user_data::parse;

const MOST: usize = 1024;
const DEEPEST: usize = 9;
const LARGEST: usize = 5 * 1024 * 1024;

/// Checks one document.
pub fn check(data: &[u8]) {
    let found = parse(data);
    assert!(count(&found.entries) <= MOST);
    assert!(size(&found.entries) <= LARGEST + data.len());
    assert!(depth(&found.entries) <= DEEPEST);
    for name in found.entries.keys().map(|name| name.as_str()) {
        assert!(!RESERVED.contains(&name) && !is_internal(name), "{name}");
    }
    assert!(found.refused.iter().all(|refusal| !refusal.to_string().is_empty()));
    assert!(found.ignored.iter().all(|ignored| !ignored.to_string().is_empty()));
}

fn size(entries: &Entries) -> usize {
    let one = |node: &Node| match node {
        Node::File { content, .. } => content.len(),
        Node::Directory { entries, .. } => size(entries),
    };
    entries.values().map(one).sum()
}

fn depth(entries: &Entries) -> usize {
    let one = |node: &Node| match node {
        Node::File { .. } => 0,
        Node::Directory { entries, .. } => 1 + depth(entries),
    };
    entries.values().map(one).max().unwrap_or(0)
}
