//! Prints what the kernel logs, as it comes.
//!
//! | module | duty |
//! | --- | --- |
//! | [`record`] | one record of `/dev/kmsg` (pure) |
//! | [`run`] | reads them, prints them |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod record;
pub mod run;
