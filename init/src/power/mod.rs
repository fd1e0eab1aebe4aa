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
use nix::libc::SIGRTMIN;
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

/// What signals to PID 1 ask for, by their numbers, and what is said about it. Those of busybox init, then those of
/// systemd (systemd(1), "Signals") where busybox has none; `docs/init.md` has the table with who sends them.
///
/// Real-time signals count from the C library's first, `SIGRTMIN`: that is where `kill` and container managers count from.
#[must_use]
pub fn request_of(signal: i32) -> Option<(Action, &'static str)> {
    const SIGNALS: [(Signal, Action, &str); 5] = [
        (Signal::SIGUSR2, Action::PowerOff, "SIGUSR2"),
        (Signal::SIGPWR, Action::PowerOff, "SIGPWR: the power fails, or a container manager asks"),
        (Signal::SIGTERM, Action::Reboot, "SIGTERM"),
        (Signal::SIGINT, Action::Reboot, "ctrl-alt-del"),
        (Signal::SIGUSR1, Action::Halt, "SIGUSR1"),
    ];
    const REAL_TIME: [(i32, Action, &str); 3] = [
        (3, Action::Halt, "SIGRTMIN+3"),
        (4, Action::PowerOff, "SIGRTMIN+4"),
        (5, Action::Reboot, "SIGRTMIN+5"),
    ];
    let named = SIGNALS.iter().map(|(named, action, why)| (*named as i32, *action, *why));
    let counted = REAL_TIME.iter().map(|(count, action, why)| (SIGRTMIN() + count, *action, *why));
    named.chain(counted).find(|(number, ..)| *number == signal).map(|(_, action, why)| (action, why))
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
            assert_eq!(request_of(action.signal() as i32).map(|(action, _)| action), Some(action));
            assert_eq!(Action::from_name(action.name()), Some(action));
        }
    }

    #[test]
    fn signals_ask_for_what_busybox_and_systemd_agree_on() {
        let cases = [
            (Signal::SIGINT as i32, Some(Action::Reboot)),
            (Signal::SIGPWR as i32, Some(Action::PowerOff)),
            (SIGRTMIN() + 3, Some(Action::Halt)),
            (SIGRTMIN() + 4, Some(Action::PowerOff)),
            (SIGRTMIN() + 5, Some(Action::Reboot)),
            (SIGRTMIN(), None),
            (Signal::SIGHUP as i32, None),
            (Signal::SIGQUIT as i32, None),
            (Signal::SIGWINCH as i32, None),
            (Signal::SIGCHLD as i32, None),
            (0, None),
        ];
        for (signal, action) in cases {
            assert_eq!(request_of(signal).map(|(action, _)| action), action, "{signal}");
        }
    }
}
