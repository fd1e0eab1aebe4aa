//! Becoming slapd.

use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::account::{Account, NAME};
use crate::database::Lock;
use crate::paths::Paths;

/// The most files that slapd may open. It makes tables for as many as it may have: a million would cost 100
/// MB and more.
const OPEN_FILES: u64 = 4096;

/// Why slapd was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program cannot be run.
    #[error("{program}: cannot be started: {source}; is this the slapd package's image?")]
    Exec {
        /// The program.
        program: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The limit cannot be set.
    #[error("cannot limit the number of open files to {OPEN_FILES}: {0}")]
    Limit(Errno),
    /// The lock cannot be handed over.
    #[error("{path}: cannot keep the database locked: {errno}")]
    Lock {
        /// The database's directory.
        path: PathBuf,
        /// The kernel's reason.
        errno: Errno,
    },
}

/// Replaces this process with slapd in the foreground, which keeps `lock` for as long as it lives.
pub fn become_slapd(paths: &Paths, account: &Account, lock: Lock) -> Result<Infallible, StartError> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(StartError::Limit)?;
    let limit = hard.min(OPEN_FILES);
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit).map_err(StartError::Limit)?;
    fcntl(&*lock.0, FcntlArg::F_SETFD(FdFlag::empty()))
        .map_err(|errno| StartError::Lock { path: paths.data.clone(), errno })?;
    // The environment has the password in it, and would be readable under /proc for as long as slapd runs.
    let source =
        Command::new(&paths.slapd).args(arguments(paths, account)).env_clear().current_dir("/").exec();
    Err(StartError::Exec { program: paths.slapd.clone(), source })
}

fn arguments(paths: &Paths, account: &Account) -> Vec<String> {
    let socket: String = paths.run.join("ldapi").to_string_lossy().bytes().map(percent).collect();
    let mut arguments = vec!["-h".to_owned(), format!("{} ldapi://{socket}", paths.listen)];
    if account.switch {
        arguments.extend(["-u", NAME, "-g", NAME].map(str::to_owned));
    }
    arguments.extend(["-f".to_owned(), paths.conf().to_string_lossy().into_owned()]);
    // In the foreground, with what is important on the standard error: start, stop, failures; not every
    // request.
    arguments.extend(["-d", "none"].map(str::to_owned));
    arguments
}

/// A byte of a path as a URL has it.
fn percent(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slapd_runs_in_the_foreground_as_its_own_user_with_a_local_socket() {
        let account = Account { uid: 105, gid: 106, switch: true };
        assert_eq!(
            arguments(&Paths::default(), &account).join(" "),
            "-h ldap:/// ldapi://%2Frun%2Fslapd%2Fldapi -u openldap -g openldap -f /run/slapd/slapd.conf -d none"
        );
        let unprivileged = Account { switch: false, ..account };
        assert!(!arguments(&Paths::default(), &unprivileged).contains(&"-u".to_owned()));
    }
}
