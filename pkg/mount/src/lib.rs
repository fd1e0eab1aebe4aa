//! Finds a file system and mounts it under `/var`.
//!
//! | module | duty |
//! | --- | --- |
//! | [`cli`] | the command line, as LinuxKit's `mountie` |
//! | [`devices`] | the block devices of the machine and what they hold, as values |
//! | [`choice`] | which of them is mounted, and why |
//! | [`mountinfo`] | what is mounted already, and whether the machine will see a mount made here |
//! | [`fsck`] | the check before the mount |
//! | [`run`] | the steps, in order |

pub mod choice;
pub mod cli;
pub mod devices;
pub mod fsck;
pub mod mountinfo;
pub mod run;
