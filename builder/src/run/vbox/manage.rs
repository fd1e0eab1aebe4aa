//! `VBoxManage` itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::VboxError;

/// How often something is tried while VirtualBox lets go of a machine.
const ATTEMPTS: u32 = 50;
/// The pause between two.
const PAUSE: Duration = Duration::from_millis(200);

/// `VBoxManage`.
pub(super) struct Manage {
    program: PathBuf,
}

impl Manage {
    pub(super) fn new(program: &Path) -> Self {
        Self { program: program.to_owned() }
    }

    /// Calls it, and returns what it prints.
    pub(super) fn run(&self, arguments: &[String]) -> Result<String, VboxError> {
        let output = Command::new(&self.program).args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|source| VboxError::Program { program: self.program.clone(), source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let complaint = if said.is_empty() { output.status.to_string() } else { said };
        Err(VboxError::Refused { command: arguments.join(" "), complaint })
    }

    /// Calls it again while the machine is locked: VirtualBox holds one for a moment after it is off.
    pub(super) fn insist(&self, arguments: &[String]) -> Result<String, VboxError> {
        let mut left = ATTEMPTS;
        loop {
            match self.run(arguments) {
                Err(VboxError::Refused { complaint, .. }) if left > 0 && complaint.contains("lock") => {
                    left -= 1;
                    thread::sleep(PAUSE);
                }
                result => return result,
            }
        }
    }
}
