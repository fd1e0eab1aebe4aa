//! Gives a partition and its file system the rest of a disk that has grown.
//!
//! The table on the disk is valid at every moment ([`table`]). The file system grows while it is mounted, by the kernel, which
//! journals what it does; one that was interrupted, or whose table alone was written, grows at the next boot.
//!
//! | module | duty |
//! | --- | --- |
//! | [`cli`] | the command line, as LinuxKit's |
//! | [`table`] | the bytes of an MBR or GPT whose one partition is larger (pure) |
//! | [`disk`] | which disks can be extended, and writing their tables |
//! | [`grow`] | the file system |
//! | [`kernel`] | the ioctls by which file systems grow |
//! | [`run`] | the command |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod cli;
pub mod disk;
pub mod grow;
pub mod kernel;
pub mod run;
pub mod table;
