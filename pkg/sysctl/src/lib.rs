//! Writes kernel parameters from `/etc/sysctl.d` to `/proc/sys`, and from `/etc/sysfs.d` to `/sys`.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod apply;
pub mod cli;
pub mod key;
pub mod run;
pub mod settings;
pub mod tree;
