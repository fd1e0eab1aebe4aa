//! PID 1: boots the machine, reaps its processes, takes it down.
//!
//! It is synchronous and single-threaded, a table of states (the shape of OpenBSD's init), and keeps no file open but
//! the sockets that it waits on. All that it asks of the kernel goes through [`System`], so that tests see every step.
//!
//! ```text
//! Root → Console → Filesystems → Devices → Settings → Seal → Cruise ⟲
//!            └→ DiskRoot: finds the root, and becomes its init
//!                                                               ↓ signal, power button
//!                 Over ← End ← Unmount ← Kill ← Terminate ← StopSupervisor
//! ```
//!
//! What it cannot handle goes to `Failed`: a message, a pause to read it, a reboot, as `panic=` says; a fault of its own
//! goes the same way by [`crate::sys::fatal`]. Nothing waits without a deadline.
//!
//! | module | duty |
//! | --- | --- |
//! | `state`, `machine` | the table, and what is remembered from state to state |
//! | `early` | from the kernel's first instruction in user space to `Cruise` |
//! | `cruise`, `backoff` | reaping, the supervisor's life, new devices |
//! | `watchdog` | the hardware's, fed while the supervisor beats |
//! | `shutdown` | the end, orderly or not |
//! | `system`, `linux`, `fake` | the kernel as a trait, the kernel itself, and one for tests |

mod backoff;
mod cruise;
mod early;
#[cfg(test)]
mod fake;
mod linux;
mod machine;
mod mountinfo;
mod shutdown;
mod state;
mod system;
mod timeline;
mod watchdog;

use nix::sys::signal::Signal;

use crate::sys::fatal;

pub use linux::Linux;
pub use machine::Machine;
pub use state::State;
pub use system::{Event, System};

/// Boots the machine; returns only in a container, or when the kernel refuses to end the machine.
#[must_use]
pub fn main() -> i32 {
    std::panic::set_hook(Box::new(end_after_bug));
    let installed = fatal::install();
    let mut machine = Machine::new(Linux::new());
    machine.check(installed, "install the handlers for faults of init's own");
    state::run(&mut machine);
    machine.exit_status()
}

/// The panic that cannot be: `clippy` keeps panics out of this crate, but not out of its dependencies. A silent hang, or
/// a kernel panic without a message, would be worse.
fn end_after_bug(panic: &std::panic::PanicHookInfo<'_>) {
    fatal::say(format_args!("this is a bug in init: {panic}"));
    fatal::end(Signal::SIGABRT as i32)
}
