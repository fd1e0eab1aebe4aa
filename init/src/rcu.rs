//! How long the kernel waits before it carries out what was changed: RCU's grace periods.
//!
//! Each change of mounts, namespaces and cgroups waits until every processor has passed a quiet point, which takes up to some
//! 10 ms; a container is several such waits. While it boots, the kernel itself interrupts the processors instead, and
//! stops that when it runs init (Documentation/admin-guide/kernel-parameters.txt, `rcupdate.rcu_expedited`). For an
//! appliance the boot is over when its services run; from then on nobody is interrupted.

use std::io::{self, ErrorKind};

use kmod::cmdline::Cmdline;

/// Whether the kernel hurries (kernel/ksysfs.c).
pub const EXPEDITED: &str = "/sys/kernel/rcu_expedited";
/// It does.
pub const HURRY: &str = "1";
/// It takes its time.
const REST: &str = "0";
/// There while it hurries because PID 1 asked for it.
pub const MARK: &str = "/run/lkb/hurry";

/// Whether the operator has decided it on the kernel's command line.
#[must_use]
pub fn is_set(cmdline: &Cmdline) -> bool {
    cmdline.has("rcupdate.rcu_expedited") || cmdline.has("rcupdate.rcu_normal")
}

/// Lets the kernel take its time again, if PID 1 has asked it to hurry and nobody has called that off.
///
/// # Errors
/// When [`MARK`] cannot be removed, or [`EXPEDITED`] cannot be written.
pub fn rest() -> io::Result<()> {
    match std::fs::remove_file(MARK) {
        Ok(()) => std::fs::write(EXPEDITED, REST),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
