//! Power: asking PID 1 to take the machine down, and what asks it to.
//!
//! | module | duty |
//! | --- | --- |
//! | [`acpi`] | the power button, as the kernel tells of it (pure) |
//! | [`command`] | `poweroff`, `reboot`, `halt`, `rc.shutdown` |
//! | [`last_resort`] | the end of the machine when PID 1 hangs |

pub mod acpi;
pub mod command;
pub mod last_resort;

use std::fmt;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::reboot::RebootMode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long the supervisor has for stopping services, `onshutdown` and containerd, from its SIGTERM to its SIGKILL.
pub const SUPERVISOR_GRACE: Duration = Duration::from_secs(90);

/// How the machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Switch the power off.
    PowerOff,
    /// Start again.
    Reboot,
    /// Stop, with the power on.
    Halt,
}

impl Action {
    /// The signal that asks PID 1 for it: those of busybox init, which LinuxKit's scripts and packages send.
    #[must_use]
    pub const fn signal(self) -> Signal {
        match self {
            Self::PowerOff => Signal::SIGUSR2,
            Self::Reboot => Signal::SIGTERM,
            Self::Halt => Signal::SIGUSR1,
        }
    }

    /// What a signal to PID 1 asks for. SIGINT is ctrl-alt-del, SIGPWR a failing power supply.
    #[must_use]
    pub const fn from_signal(signal: Signal) -> Option<Self> {
        match signal {
            Signal::SIGUSR2 | Signal::SIGPWR => Some(Self::PowerOff),
            Signal::SIGTERM | Signal::SIGINT => Some(Self::Reboot),
            Signal::SIGUSR1 => Some(Self::Halt),
            _ => None,
        }
    }

    /// The argument of reboot(2).
    #[must_use]
    pub const fn mode(self) -> RebootMode {
        match self {
            Self::PowerOff => RebootMode::RB_POWER_OFF,
            Self::Reboot => RebootMode::RB_AUTOBOOT,
            Self::Halt => RebootMode::RB_HALT_SYSTEM,
        }
    }

    /// The command's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PowerOff => "poweroff",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
        }
    }

    /// The action with a command's name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::PowerOff, Self::Reboot, Self::Halt].into_iter().find(|action| action.name() == name)
    }
}

/// What is happening: `powering off`, `rebooting`, `halting`.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerOff => "powering off",
            Self::Reboot => "rebooting",
            Self::Halt => "halting",
        })
    }
}

/// Asks PID 1 to take the machine down in order.
///
/// # Errors
/// What kill(2) says: `EPERM` for anyone but root.
pub fn request(action: Action) -> Result<(), Errno> {
    kill(Pid::from_raw(1), action.signal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_survives_its_signal_and_its_name() {
        for action in [Action::PowerOff, Action::Reboot, Action::Halt] {
            assert_eq!(Action::from_signal(action.signal()), Some(action));
            assert_eq!(Action::from_name(action.name()), Some(action));
        }
    }

    #[test]
    fn ctrl_alt_del_reboots_a_failing_supply_powers_off_and_others_ask_for_nothing() {
        let cases = [
            (Signal::SIGINT, Some(Action::Reboot)),
            (Signal::SIGPWR, Some(Action::PowerOff)),
            (Signal::SIGHUP, None),
            (Signal::SIGCHLD, None),
        ];
        for (signal, action) in cases {
            assert_eq!(Action::from_signal(signal), action);
        }
    }
}
