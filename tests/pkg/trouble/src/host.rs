//! Programs of the machine's own root: the agent's container has none.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// The root of PID 1.
const ROOT: &str = "/proc/1/root";
/// Where its programs are.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Becomes a program of the machine's root.
///
/// # Errors
/// When it cannot.
pub fn exec(program: &str, args: &[&str]) -> Result<(), String> {
    nix::unistd::chroot(ROOT).map_err(|e| format!("entering {ROOT}: {e}"))?;
    let error = Command::new(program).args(args).current_dir("/").env("PATH", PATH).exec();
    Err(format!("{program}: {error}"))
}

/// A command that becomes such a program.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("host").args(args);
    command
}

/// What an operator does on a machine that has started no service.
///
/// # Errors
/// When it does not start.
pub fn start_agent() -> Result<(), String> {
    let status = Command::new("/usr/bin/service").args(["start", "agent"]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("service start agent: {status}")),
        Err(error) => Err(format!("service start agent: {error}")),
    }
}
