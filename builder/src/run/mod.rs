//! Starts what was built: one module a back-end, over what they share.

pub mod disk;
pub mod networking;
pub mod publish;
pub mod qemu;
