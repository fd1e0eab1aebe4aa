//! Devices: what the kernel says about them, and the kernel modules that drive them.
//!
//! | module | duty |
//! | --- | --- |
//! | [`modules`] | which module files a name or alias means, and in which order (pure) |
//! | [`load`] | gives those files to the kernel |
//! | [`schedule`], [`crew`] | several of them at a time (pure), and who does it |
//! | [`decompress`] | unpacks them, where the kernel cannot (pure) |
//! | [`uevent`] | a device that came or went (pure) |
//! | [`coldplug`] | the devices that were there before PID 1 |
//! | [`hotplug`] | the devices that come later (pure) |
//! | [`modprobe`] | the command, which the kernel itself calls too |
//! | [`block`] | disks and partitions, and what they hold |
//! | [`identify`] | what a superblock says (pure) |
//! | [`partitions`] | what a partition table says (pure) |
//! | [`links`] | `/dev/disk` |
//! | [`mdev`], [`hwclock`] | commands that kernels and scripts call |
//! | [`options`] | the words behind such commands (pure) |

pub mod block;
pub mod coldplug;
pub mod crew;
pub mod decompress;
pub mod hotplug;
pub mod hwclock;
pub mod identify;
pub mod links;
pub mod load;
pub mod mdev;
pub mod modprobe;
pub mod modules;
pub mod options;
pub mod partitions;
pub mod schedule;
pub mod uevent;
