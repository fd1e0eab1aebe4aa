//! Devices: what the kernel says about them, and the kernel modules that drive them, which are [`kmod`]'s duty.
//!
//! | module | duty |
//! | --- | --- |
//! | [`schedule`], [`crew`] | several modules at a time (pure), and who loads them |
//! | [`uevent`] | a device that came or went (pure) |
//! | [`coldplug`] | the devices that were there before PID 1 |
//! | [`hotplug`] | the devices that come later (pure) |
//! | [`block`] | disks and partitions, and what they hold |
//! | [`identify`] | what a superblock says (pure) |
//! | [`partitions`] | what a partition table says (pure) |
//! | [`links`] | `/dev/disk` |
//! | [`mdev`], [`hwclock`] | commands that kernels and scripts call |

pub mod block;
pub mod coldplug;
pub mod crew;
pub mod hotplug;
pub mod hwclock;
pub mod identify;
pub mod links;
pub mod mdev;
pub mod partitions;
pub mod schedule;
pub mod uevent;
