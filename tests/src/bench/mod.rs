//! Measures how init boots, under a clock that counts instructions: the same figures on every host, busy or not. And how long
//! builds take, by this host's clock.
//!
//! | module | duty |
//! |---|---|
//! | [`machine`] | one boot, in qemu as LinuxKit was measured |
//! | [`marks`] | what the console of a bench image says, as values |
//! | [`least`] | the least memory that is enough |
//! | [`figures`] | the figures of one engine |
//! | [`builds`] | the figures of builds |
//! | [`metadata`] | the figures of the metadata agent |
//! | [`report`] | the table, and the JSON file |

pub mod builds;
pub mod figures;
pub mod large;
mod least;
pub mod machine;
pub mod marks;
pub mod metadata;
pub mod report;
