//! Devices: what the kernel says about them, and the kernel modules that drive them.
//!
//! | module | duty |
//! | --- | --- |
//! | [`modules`] | which module files a name or alias means, and in which order (pure) |
//! | [`load`] | gives those files to the kernel |
//! | [`uevent`] | a device that came or went (pure) |
//! | [`coldplug`] | the devices that were there before PID 1 |
//! | [`hotplug`] | the devices that come later (pure) |
//! | [`modprobe`] | the command, which the kernel itself calls too |

pub mod coldplug;
pub mod hotplug;
pub mod load;
pub mod modprobe;
pub mod modules;
pub mod uevent;
