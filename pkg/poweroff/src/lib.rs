//! Powers the machine off after a while: PID 1 is asked to, so that services stop and file systems are unmounted; the kernel is told
//! to when PID 1 does not.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod cli;
pub mod run;
