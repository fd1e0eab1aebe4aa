//! Two-stage boot: a small initrd finds the disk that the machine runs from.
//!
//! The initrd holds init and the modules of disks and file systems, nothing else. It is the first stage when all of this is
//! true; otherwise `/` is the machine itself:
//!
//! - `/` is the initramfs,
//! - the kernel's command line has `root=`, and that is no RAM disk,
//! - `/containers` is missing: an initrd with containers is a whole machine, whatever `root=` says,
//! - this is not the second stage already ([`SECOND_STAGE`] is set for that).
//!
//! | word of the command line | meaning |
//! | --- | --- |
//! | `root=PARTUUID=…`, `PARTUUID=…/PARTNROFF=N` | the partition with this UUID in its disk's table, or N after it |
//! | `root=UUID=…`, `LABEL=…`, `PARTLABEL=…` | the file system, or partition, with this UUID or label |
//! | `root=/dev/…`, `/dev/disk/by-…/…`, `MAJOR:MINOR` | this device |
//! | `rootfstype=A,B` | types to try, in this order; default: what the superblock says |
//! | `rootflags=…` | options for the file system |
//! | `rootdelay=SECONDS` | wait so long before the first look |
//! | `rootwait`, `rootwait=SECONDS`, `lkb.rootwait=SECONDS` | how long the device may take: for ever, or so long; default 30 s |
//! | `roothash=HASH` | check every block of it by the hash tree (dm-verity) in the partition whose UUID is the hash's second half |
//! | `init=PATH` | what to run there; default `/sbin/init`, then `/init` |
//! | `rw` | ignored, and said: `/` is read-only |
//!
//! Here is what can be decided; `pid1::early::disk_root` does it.

mod choose;
mod mount;
mod request;
mod verity;

pub use choose::{Choice, choose};
pub use mount::{explain, kinds};
pub use request::{Request, RequestError, Root};
#[cfg(test)]
pub use verity::superblock_for_tests;
pub use verity::{RootHash, SUPERBLOCK, Superblock, TreeError};

/// The environment variable that the first stage sets for the second.
pub const SECOND_STAGE: &str = "LKB_STAGE=2";
/// The name of another: when the first stage began, in microseconds since the kernel started.
pub const BEGUN: &str = "LKB_STAGE_BEGUN";
