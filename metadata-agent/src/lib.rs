//! Turns what the cloud says about a machine into files under `/var/config`.
//!
//! ```text
//! choose ─► race ─► provider ──► metadata ─┐
//!             │        │                    ├─► tree ──► materialise ──► /var/config
//!             │        ▼                    │   source
//!             │   local, volume, backdoor   │
//!             ▼                             │             network_data ──► links, addresses, routes
//!     fetch ─► http, retry               user_data
//!             ▼
//!      169.254.169.254
//! ```
//!
//! Everything that the network and the user send is hostile until shown otherwise: sizes, depths, numbers and times
//! have limits, names can't leave the directory, and nothing secret is printed.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod backdoor;
pub mod choose;
pub mod cli;
pub mod console;
pub mod encoding;
pub mod fetch;
pub mod hostname;
pub mod http;
pub mod local;
pub mod materialise;
pub mod metadata;
pub mod network;
pub mod network_data;
pub mod provider;
pub mod race;
pub mod retry;
pub mod run;
pub mod service;
pub mod source;
pub mod tree;
pub mod user_data;
pub mod volume;
