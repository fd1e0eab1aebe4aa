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
//! What it cannot handle goes to `Failed`: a message, a pause to read it, a reboot. Nothing waits without a deadline.

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

pub use linux::Linux;
pub use machine::Machine;
pub use state::State;
pub use system::{Event, System};

/// Boots the machine; returns only in a container, or when the kernel refuses to end the machine.
#[must_use]
pub fn main() -> i32 {
    std::panic::set_hook(Box::new(reboot_after_bug));
    let mut machine = Machine::new(Linux::new());
    state::run(&mut machine);
    machine.exit_status()
}

/// The panic that cannot be: `clippy` keeps panics out of this crate, but not out of its dependencies. A silent hang, or
/// a kernel panic without a message, would be worse.
fn reboot_after_bug(panic: &std::panic::PanicHookInfo<'_>) {
    let mut system = Linux::new();
    system.log(&format!("init: this is a bug in init: {panic}; rebooting in 10 s"));
    system.sync();
    system.sleep(std::time::Duration::from_secs(10));
    let errno = system.reboot(crate::power::Action::Reboot);
    system.log(&format!("init: cannot reboot: {errno}"));
}
