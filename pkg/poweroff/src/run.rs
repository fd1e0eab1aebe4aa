//! From the command line to a machine that is off.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use lk_command::command::Command;
use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, sync};

use crate::cli::{self, Options};

/// How long PID 1 may take to stop services and unmount. Init's own limits end before.
const PATIENCE: Duration = Duration::from_secs(180);
/// What busybox, and PID 1 here, take for "power off".
const REQUEST: Signal = Signal::SIGUSR2;

/// Why the machine stays on.
#[derive(Debug, thiserror::Error)]
pub enum PowerOffError {
    /// PID 1 is not the machine's.
    #[error(
        "cannot power off: in a PID namespace of its own there is only this program; run it with `pid: host`"
    )]
    Namespace,
    /// The kernel refused.
    #[error("cannot power off: {0}{advice}", advice = advice(*.0))]
    Refused(Errno),
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => "; it takes CAP_SYS_BOOT",
        _ => "",
    }
}

/// The command: its arguments without its name, its exit code. It returns only when the machine stays on.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 1 | the machine cannot be powered off from here |
/// | 2 | the command line is wrong |
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    Command { name: "poweroff", usage: cli::USAGE, flags: cli::FLAGS }.main(arguments, cli::options, run)
}

fn run(options: &Options) -> Result<(), PowerOffError> {
    if getpid() == Pid::from_raw(1) {
        return Err(PowerOffError::Namespace);
    }
    println!("poweroff: in {} s", options.pause.as_secs());
    std::thread::sleep(options.pause);
    if !options.force {
        match kill(Pid::from_raw(1), REQUEST) {
            Ok(()) => {
                // This container is stopped with all others while the time runs.
                std::thread::sleep(PATIENCE);
                eprintln!("poweroff: still on after {} s: powering off without PID 1", PATIENCE.as_secs());
            }
            Err(errno) => eprintln!("poweroff: cannot ask PID 1 ({errno}): powering off without it"),
        }
    }
    sync();
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        Err(errno) => Err(PowerOffError::Refused(errno)),
    }
}
