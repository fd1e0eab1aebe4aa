//! Reads the logs of all services, from the socket of LinuxKit's memlogd, which the supervisor answers.
//!
//! | module | duty |
//! | --- | --- |
//! | [`message`] | one line of a log (pure) |
//! | [`query`] | the socket |
//! | [`file`] | a log file that is put aside when it is full |
//! | [`written`] | what of a log is in files already |
//! | [`write`] | the command `logwrite` |
//! | [`read`] | the command `logread` |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod file;
pub mod message;
pub mod query;
pub mod read;
pub mod write;
pub mod written;
