//! Opens an encrypted device, and makes one of a blank one.
//!
//! | module | duty |
//! | --- | --- |
//! | [`cli`] | the command line, as LinuxKit's |
//! | [`choice`] | what is done to a device that holds this or that (pure) |
//! | [`plain`] | a mapping without a header: all that there is is the key |
//! | [`luks`] | a mapping with a LUKS header, which `cryptsetup` makes and reads |
//! | [`run`] | the command |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod choice;
pub mod cli;
pub mod luks;
pub mod plain;
pub mod run;
