//! Turns what the cloud says about a machine into files under `/var/config`.
//!
//! ```text
//! provider ──► metadata ─┐
//!   │ fetch               ├─► tree ──► materialise ──► /var/config
//!   ▼ http, retry         │
//! 169.254.169.254   user_data
//! ```
//!
//! Everything that the network and the user send is hostile until shown otherwise: sizes, depths, numbers and times
//! have limits, names can't leave the directory, and nothing secret is printed.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod backdoor;
pub mod cli;
pub mod console;
pub mod ec2_tree;
pub mod fetch;
pub mod hostname;
pub mod http;
pub mod materialise;
pub mod metadata;
pub mod network;
pub mod provider;
pub mod retry;
pub mod run;
pub mod source;
pub mod tree;
pub mod user_data;
pub mod volume;
