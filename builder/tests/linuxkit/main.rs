//! What LinuxKit's YAML becomes here: trees as golden files, and LinuxKit's own examples and test cases.
//!
//! Golden files are renewed with `LKB_RENEW_GOLDEN=1 cargo test -p lkb --test linuxkit`; read the difference.

#[path = "../fixture/mod.rs"]
mod fixture;

mod checkout;
mod listing;
mod standin;
mod trees;
