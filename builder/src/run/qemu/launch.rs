//! Becomes QEMU, or leaves it behind.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::expect::Expectation;
use super::virtiofsd::Servers;
use super::{Console, Plan, QemuError, command_line};

/// A machine that can be started.
#[derive(Debug)]
pub struct Ready {
    /// QEMU.
    pub program: PathBuf,
    /// What it is told.
    pub plan: Plan,
    /// What gives the machine directories of the host, if it has any.
    pub virtiofsd: Option<PathBuf>,
    /// What the console must show.
    pub expect: Option<Expectation>,
}

/// A machine that was left running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// QEMU's process number.
    pub pid: u32,
    /// Where its console goes.
    pub console: PathBuf,
}

impl Ready {
    /// Whether somebody must stay with the machine as long as it runs: then [`Self::attend`], else [`Self::exec`].
    #[must_use]
    pub fn needs_attendance(&self) -> bool {
        self.virtiofsd.is_some() || self.expect.is_some()
    }

    /// Becomes QEMU: signals, terminal and exit status are QEMU's own. Comes back only when that fails.
    ///
    /// # Errors
    /// When the program cannot be executed.
    pub fn exec(self) -> Result<Infallible, QemuError> {
        let source = Command::new(&self.program).args(command_line(&self.plan)).exec();
        Err(QemuError::Start { program: self.program, source })
    }

    /// Starts QEMU as a daemon and comes back when the machine runs.
    ///
    /// # Errors
    /// When QEMU cannot be started or gives up at once.
    pub fn detach(self) -> Result<Detached, QemuError> {
        let start = |source| QemuError::Start { program: self.program.clone(), source };
        let servers = Servers::start(self.virtiofsd.as_deref(), &self.plan.shares)?;
        let status = Command::new(&self.program)
            .args(command_line(&self.plan))
            .stdin(Stdio::null())
            .status()
            .map_err(start)?;
        if !status.success() {
            return Err(QemuError::Failed(status));
        }
        servers.leave();
        let path = self.plan.pid_file;
        let text =
            fs::read_to_string(&path).map_err(|source| QemuError::Read { path: path.clone(), source })?;
        let pid = text.trim().parse().map_err(|_| QemuError::Read {
            path,
            source: std::io::Error::new(std::io::ErrorKind::InvalidData, "it holds no process number"),
        })?;
        let console = match self.plan.console {
            Console::File(path) | Console::Terminal { copy: Some(path), .. } => path,
            Console::Terminal { copy: None, .. } => PathBuf::from("/dev/null"),
        };
        Ok(Detached { pid, console })
    }
}

/// The file of a program in `PATH`.
pub fn program(name: &'static str, package: &'static str) -> Result<PathBuf, QemuError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| is_program(file))
        .ok_or(QemuError::NoProgram { program: name, package })
}

/// Whether this is a file that can be executed.
pub fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_its_package() {
        let error = program("qemu-system-none", "qemu-system-x86").unwrap_err().to_string();
        assert_eq!(error, "qemu-system-none is not in PATH: install the Debian package qemu-system-x86");
    }
}
