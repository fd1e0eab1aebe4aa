//! Commands on a machine, by the `ssh` that is there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

/// How long a machine that runs may take to let us in.
const PATIENCE: Duration = Duration::from_secs(300);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(3);
/// What `ssh` itself ends with when there is no connection.
const NO_CONNECTION: i32 = 255;

/// Why a command was not done.
#[derive(Debug, Error)]
pub enum SshError {
    /// There is no `ssh`.
    #[error("cannot start ssh: {0}; the image is written through it, so install OpenSSH's client")]
    Missing(io::Error),
    /// Something of ours cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not let in.
    #[error(
        "ssh cannot reach root@{host} within {} s: {said}; the key must be one of the Scaleway project's, named with --ssh-key \
         or in the agent", PATIENCE.as_secs()
    )]
    Unreachable {
        /// The machine.
        host: String,
        /// What ssh says.
        said: String,
    },
    /// The command fails there.
    #[error("`{command}` on {host} fails: {said}")]
    Failed {
        /// The command.
        command: String,
        /// The machine.
        host: String,
        /// What it says.
        said: String,
    },
}

/// A machine that takes commands from root.
#[derive(Debug)]
pub(super) struct Ssh {
    host: String,
    key: Option<PathBuf>,
    /// The machine's key, as it was when we met it first.
    known: PathBuf,
}

impl Ssh {
    /// Waits until the machine lets us in. Its key is kept in `directory` until this is dropped, and no other one is taken
    /// after the first.
    pub(super) fn open(host: &str, id: &str, key: Option<&Path>, directory: &Path) -> Result<Self, SshError> {
        std::fs::create_dir_all(directory)
            .map_err(|source| SshError::Path { path: directory.to_owned(), source })?;
        let known = directory.join(format!("known_hosts.{id}"));
        let ssh = Self { host: host.to_owned(), key: key.map(Path::to_owned), known };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = ssh.call("true", Stdio::null())?;
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            match output.status.code() {
                Some(0) => return Ok(ssh),
                Some(NO_CONNECTION) if Instant::now() < deadline => thread::sleep(PAUSE),
                Some(NO_CONNECTION) => return Err(SshError::Unreachable { host: host.to_owned(), said }),
                _ => return Err(ssh.failed("true", &output)),
            }
        }
    }

    /// Has a command done, and returns what it prints. Its input is `file`, or nothing.
    pub(super) fn run(&self, command: &str, file: Option<File>) -> Result<String, SshError> {
        let output = self.call(command, file.map_or_else(Stdio::null, Stdio::from))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(self.failed(command, &output)),
        }
    }

    fn failed(&self, command: &str, output: &std::process::Output) -> SshError {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let said = if said.is_empty() { output.status.to_string() } else { said };
        SshError::Failed { command: command.to_owned(), host: self.host.clone(), said }
    }

    fn call(&self, command: &str, input: Stdio) -> Result<std::process::Output, SshError> {
        let mut ssh = Command::new("ssh");
        for option in [
            // The machine is minutes old: nobody can know its key yet.
            "StrictHostKeyChecking=accept-new",
            "PasswordAuthentication=no",
            "KbdInteractiveAuthentication=no",
            "ConnectTimeout=10",
            "ServerAliveInterval=15",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg("-o").arg(format!("UserKnownHostsFile=\"{}\"", self.known.display()));
        if let Some(key) = &self.key {
            ssh.arg("-i").arg(key);
        }
        ssh.arg(format!("root@{}", self.host)).arg(command).stdin(input);
        ssh.stdout(Stdio::piped()).stderr(Stdio::piped()).output().map_err(SshError::Missing)
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        // It is of no use any more, and of no harm: no other machine has this id.
        std::fs::remove_file(&self.known).ok();
    }
}
