//! Makes block devices of files, and files to make them of.
//!
//! | module | duty |
//! | --- | --- |
//! | [`cli`] | the command line of `loopy`, as LinuxKit's |
//! | [`file`] | a new file of zeros with its space on the disk: whole or not there |
//! | [`device`] | which loop device a file gets |
//! | [`kernel`] | the ioctls |
//! | [`run`] | the command |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod cli;
pub mod device;
pub mod file;
pub mod kernel;
pub mod run;
