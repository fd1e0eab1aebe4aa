//! The runtime as a process of its own, for what must not or cannot be done in the supervisor.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::engine::{EngineError, Exit};
use crate::runtime::{EXEC_FAILED, read_bounded};
use crate::sys::kill;

/// This binary, whatever its name is.
const SELF: &str = "/proc/self/exe";
/// A log is a few lines (bytes).
const LOG_LIMIT: u64 = 1 << 16;
/// How long a program that has to stop may take, before whoever runs it is killed: longer than that one gives it.
const STOP_LIMIT: Duration = Duration::from_secs(5);
const SIGTERM: u32 = 15;

/// What the engine has done by the runtime: a trait, so that tests need no containers.
#[allow(async_fn_in_trait)]
pub trait Runtime {
    /// `runtime create`, for a bundle that may have to be prepared, with the container's output.
    async fn create(
        &self,
        id: &str,
        bundle: &Path,
        stdout: File,
        stderr: File,
        limit: Duration,
    ) -> Result<(), EngineError>;
    /// `runtime` with `args`, without output.
    async fn run(&self, action: &'static str, args: &[&str], limit: Duration) -> Result<(), EngineError>;
    /// `runtime exec`; a program that does not end within `limit` is ended.
    async fn exec(&self, id: &str, args: &[String], limit: Duration) -> Result<Exit, EngineError>;
}

/// Runs `init runtime` for containers below one root.
#[derive(Debug, Clone)]
pub struct Helper {
    root: PathBuf,
    logs: Rc<Cell<u64>>,
}

/// A file for what a helper has to say; removed when nobody needs it any more.
#[derive(Debug)]
struct Log(PathBuf);

impl Helper {
    /// A helper for the containers below `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), logs: Rc::default() }
    }

    fn command(&self, log: &Log) -> Command {
        let mut command = Command::new(SELF);
        command.arg0("init").args(["runtime".as_ref(), "--root".as_ref(), self.root.as_os_str()]);
        command.args([OsStr::new("--log"), log.0.as_os_str(), "--log-format".as_ref(), "json".as_ref()]);
        // A group of its own, so that it outlives us.
        command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        command
    }

    fn log(&self) -> Result<Log, EngineError> {
        let number = self.logs.get();
        self.logs.set(number + 1);
        let dir = self.root.join(".logs");
        std::fs::create_dir_all(&dir)
            .map_err(|error| EngineError::Bundle(format!("cannot make {}: {error}", dir.display())))?;
        let path = dir.join(format!("{}-{number}", std::process::id()));
        Ok(Log(path))
    }
}

impl Runtime for Helper {
    async fn create(
        &self,
        id: &str,
        bundle: &Path,
        stdout: File,
        stderr: File,
        limit: Duration,
    ) -> Result<(), EngineError> {
        let action = "create the task";
        let log = self.log()?;
        let mut command = self.command(&log);
        command.args(["create", "--prepare", "--bundle"]).arg(bundle).arg(id);
        command.stdout(stdout).stderr(stderr);
        // The first process is the child of a process that is gone; only that one is waited for.
        let child = spawn(&mut command)?;
        let status = within(child, limit, action).await?;
        if status.success() {
            for warning in log.messages("warning") {
                eprintln!("{id}: {warning}");
            }
            return Ok(());
        }
        Err(log.error(action, status))
    }

    async fn run(&self, action: &'static str, args: &[&str], limit: Duration) -> Result<(), EngineError> {
        let log = self.log()?;
        let mut command = self.command(&log);
        command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
        let status = within(spawn(&mut command)?, limit, action).await?;
        if status.success() { Ok(()) } else { Err(log.error(action, status)) }
    }

    async fn exec(&self, id: &str, args: &[String], limit: Duration) -> Result<Exit, EngineError> {
        let action = "execute a program in the task";
        let log = self.log()?;
        let mut command = self.command(&log);
        command.args(["exec", id, "--"]).args(args).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = spawn(&mut command)?;
        let Ok(ended) = tokio::time::timeout(limit, child.wait()).await else {
            // Not waited for: whoever asked has its answer. The helper hands the signal on.
            tokio::task::spawn_local(stop(child));
            return Err(EngineError::Timeout { action, limit });
        };
        let status =
            ended.map_err(|error| EngineError::Bundle(format!("cannot wait for the runtime: {error}")))?;
        match status.code().and_then(|code| u32::try_from(code).ok()) {
            Some(code) if code == u32::from(EXEC_FAILED) && !log.messages("error").is_empty() => {
                Err(log.error(action, status))
            }
            Some(code) => Ok(Exit::from_status(code)),
            None => Ok(Exit::Unknown),
        }
    }
}

impl Log {
    fn messages(&self, level: &str) -> Vec<String> {
        let bytes = read_bounded(&self.0, LOG_LIMIT).unwrap_or_default();
        messages(&String::from_utf8_lossy(&bytes), level)
    }

    fn error(&self, action: &'static str, status: ExitStatus) -> EngineError {
        let message =
            self.messages("error").pop().unwrap_or_else(|| format!("the runtime ended with {status}"));
        // What it tried is said by us as well.
        let same = format!("cannot {} the container: ", action.split(' ').next().unwrap_or_default());
        let message = message.strip_prefix(&same).unwrap_or(&message).to_owned();
        EngineError::Refused { action, message, lost: false }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Mostly it was never made.
        drop(std::fs::remove_file(&self.0));
    }
}

/// The texts of JSON lines that have this level.
fn messages(text: &str, level: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line.get("level").and_then(|value| value.as_str()) == Some(level))
        .filter_map(|line| line.get("msg")?.as_str().map(str::to_owned))
        .collect()
}

fn spawn(command: &mut Command) -> Result<Child, EngineError> {
    command.spawn().map_err(|error| EngineError::Bundle(format!("cannot execute {SELF}: {error}")))
}

async fn within(mut child: Child, limit: Duration, action: &'static str) -> Result<ExitStatus, EngineError> {
    match tokio::time::timeout(limit, child.wait()).await {
        Err(_) => Err(EngineError::Timeout { action, limit }),
        Ok(Err(error)) => Err(EngineError::Bundle(format!("cannot wait for the runtime: {error}"))),
        Ok(Ok(status)) => Ok(status),
    }
}

async fn stop(mut child: Child) {
    if let Some(pid) = child.id() {
        // It is our child and not yet waited for, so the number is its own. Dropping it kills it in any case.
        let _ = kill(pid, SIGTERM);
        drop(tokio::time::timeout(STOP_LIMIT, child.wait()).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_by_level() {
        let text = "{\"level\":\"warning\",\"msg\":\"w\"}\nbroken\n{\"level\":\"error\",\"msg\":\"e 1\"}\n{\"level\":\"error\",\"msg\":\"e 2\"}\n";
        assert_eq!(messages(text, "error"), ["e 1", "e 2"]);
        assert_eq!(messages(text, "warning"), ["w"]);
        assert!(messages("", "error").is_empty());
    }

    #[test]
    fn a_reason_does_not_say_twice_what_was_tried() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log(dir.path().join("log"));
        std::fs::write(
            &log.0,
            "{\"level\":\"error\",\"msg\":\"cannot create the container: no such file\"}\n",
        )
        .unwrap();
        let status = std::process::Command::new("/bin/false").status().unwrap();
        assert_eq!(log.error("create the task", status).to_string(), "cannot create the task: no such file");
    }
}
