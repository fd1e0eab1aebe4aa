//! Makes a swap file on a disk, encrypted if wanted, and swaps to it.
//!
//! The key of an encrypted file is new at each boot and is kept nowhere, so the file is of no use to the next boot but for its
//! space: its first page says that it is such a file, and the swap area behind it is made anew.
//!
//! | module | duty |
//! | --- | --- |
//! | [`cli`] | the command line, as LinuxKit's |
//! | [`condition`] | whether there is to be swap at all (pure) |
//! | [`area`] | the first page of a file: which kind it is, what a new one has (pure) |
//! | [`encrypted`] | the encrypted device over a file |
//! | [`kernel`] | swapon(2) |
//! | [`run`] | the command |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod area;
pub mod cli;
pub mod condition;
pub mod encrypted;
pub mod kernel;
pub mod run;
