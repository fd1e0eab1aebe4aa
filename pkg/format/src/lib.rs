//! Partitions and formats a blank disk, and only a blank one.
//!
//! The order of the steps is what makes a power cut harmless. The partition is shown to the kernel first
//! (`BLKPG`), the file system is made in it and checked, and only then is the partition table written; the
//! table's last write is one sector. So a disk with a table has a whole file system, and a disk without one
//! still looks blank and is done again at the next boot ([`make`], [`table`]).
//!
//! | module | duty |
//! | --- | --- |
//! | [`cli`] | the command line, as LinuxKit's |
//! | [`inventory`] | which disks and partitions the kernel has, from `/sys/class/block` |
//! | [`content`], [`probe`] | what a device holds: decided purely, read by `blkid` and by looking at both ends |
//! | [`choice`] | which disk is taken, and why the others are not |
//! | [`table`] | the bytes of an MBR or GPT with one Linux partition |
//! | [`make`], [`mkfs`] | the steps, in order |
//! | [`kernel`], [`uevent`] | ioctls, device events |

pub mod choice;
pub mod cli;
pub mod content;
pub mod inventory;
pub mod kernel;
pub mod make;
pub mod mkfs;
pub mod probe;
pub mod run;
pub mod table;
pub mod uevent;
