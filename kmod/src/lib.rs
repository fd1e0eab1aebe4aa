//! Kernel modules: what depmod says about them, and how they get into the kernel.
//!
//! | module | duty |
//! | --- | --- |
//! | [`modules`] | which module files a name or alias means, and in which order (pure) |
//! | [`load`] | gives those files to the kernel |
//! | [`decompress`] | unpacks them, where the kernel cannot (pure) |
//! | [`cmdline`] | the kernel's command line, which may have parameters for them (pure) |
//! | [`modprobe`] | the command |
//! | [`options`] | the words behind such commands (pure) |
//! | [`fake`] | a kernel that only remembers, for tests |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod cmdline;
pub mod decompress;
pub mod fake;
pub mod load;
pub mod modprobe;
pub mod modules;
pub mod options;
