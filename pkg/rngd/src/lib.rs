//! Feeds the kernel's entropy pool from the processor and `/dev/hwrng`.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod cli;
pub mod feed;
pub mod pool;
mod raw;
pub mod source;
