//! What the small commands of the packages have in common.
//!
//! | module | duty |
//! | --- | --- |
//! | [`flags`] | the command line, as Go's `flag` package reads it |
//! | [`command`] | how a command begins and ends, and how long it waits |
//! | [`program`] | other programs: where they are and what they said |
//! | [`signals`] | how a service is told to end |
//! | [`size`] | sizes as people read and write them |

pub mod command;
pub mod flags;
pub mod program;
pub mod signals;
pub mod size;
