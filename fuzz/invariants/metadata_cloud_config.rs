//! `#cloud-config` from anywhere, without its first line.
//!
//! Holds for every text: it makes no more files than allowed, and every message has a text.

use metadata_agent::tree::count;
use metadata_agent::user_data::parse;

/// Checks one document.
pub fn check(data: &[u8]) {
    let found = parse(&[b"#cloud-config\n", data].concat());
    assert!(count(&found.entries) <= 1024);
    assert!(found.refused.iter().all(|refusal| !refusal.to_string().is_empty()));
    assert!(found.ignored.iter().all(|ignored| !ignored.to_string().is_empty()));
}
