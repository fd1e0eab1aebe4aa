//! Boots real images in qemu and looks at them from outside.
//!
//! | module | duty |
//! |---|---|
//! | [`image`] | what is booted: built once for all tests, with the `lkb` that a user has |
//! | `docs` | what the documents list, held against what there is |
//! | [`readme`] | the examples in the packages' READMEs, to be booted |
//! | [`own_kernel`] | our own kernel in the place of another, and roots that it mounts by itself |
//! | [`vm`] | a machine: `lkb run qemu` in a network namespace of its own |
//! | `remote` | commands for a shell on the other side of ssh |
//! | `beside` | what is asked of it from beside it |
//! | [`guest`] | a machine for the fault suite: qemu as a test wants it |
//! | [`agent`] | what a test can ask inside such a machine |
//! | [`lines`] | lines from a socket |
//! | [`write_log`] | a disk that loses what was never flushed |
//! | [`console`] | the machine's serial console |
//! | [`qmp`] | qemu's control socket |
//! | [`screen`] | what the machine's screen shows |
//! | [`netns`] | network namespaces, so that no test binds a port of the host |
//! | [`metadata`] | an OpenStack metadata service on 169.254.169.254 |
//! | [`ntp`] | a time server that is wrong on purpose |
//! | [`registry`] | a registry of images |
//! | [`openstack`] | a real OpenStack, and machines that it speaks to |
//! | [`roots`] | machines with their root on a disk |
//! | [`disk`] | data disks, and a look at them after the machine is off |
//! | [`bench`] | what `make bench` measures of the boot |

pub mod agent;
pub mod bench;
mod beside;
pub mod console;
pub mod disk;
#[cfg(test)]
mod docs;
pub mod guest;
pub mod image;
pub mod lines;
pub mod metadata;
pub mod netns;
pub mod ntp;
pub mod openstack;
pub mod own_kernel;
pub mod qmp;
pub mod readme;
pub mod registry;
mod remote;
pub mod roots;
pub mod screen;
pub mod vm;
pub mod write_log;

use std::path::PathBuf;
use std::time::Duration;

/// What a test waits at most for one event. Emulated machines on a busy host are slow; no test depends on its length.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// The top of the source tree.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
