//! The runtime face of this binary, as a child process.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::engine::Container;
use crate::runtime::has_volumes;

/// This binary, whatever its name is.
pub const SELF: &str = "/proc/self/exe";
/// How long preparing may take: mounts of network file systems are the slow ones.
const LIMIT: Duration = Duration::from_secs(60);

/// `init runtime …` with `args`, in a process group of its own so that it outlives us.
pub fn runtime<I, S>(args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(SELF);
    command.arg0("init").arg("runtime").args(args).stdin(Stdio::null()).process_group(0);
    command
}

/// Makes a service's mounts, once.
pub async fn prepare(container: &Container) -> Result<(), String> {
    let mut command = runtime(["prepare", "--bundle"]);
    command.arg(&container.bundle).arg(&container.task.id);
    finish(command).await
}

/// Gives a created service its interfaces, and binds its namespaces.
pub async fn attach(container: &Container, pid: u32) -> Result<(), String> {
    let mut command = runtime(["attach", "--bundle"]);
    command.arg(&container.bundle).arg("--pid").arg(pid.to_string()).arg(&container.task.id);
    finish(command).await
}

/// Mounts all volumes, if there are any.
pub async fn volumes() -> Result<(), String> {
    if !has_volumes() {
        return Ok(());
    }
    finish(runtime(["volumes"])).await
}

/// Unmounts everything that was mounted for containers.
pub async fn release() -> Result<(), String> {
    finish(runtime(["release"])).await
}

/// Waits for the end; what it says on standard error is the reason of its failure.
async fn finish(mut command: Command) -> Result<(), String> {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|error| format!("cannot execute {SELF}: {error}"))?;
    match tokio::time::timeout(LIMIT, child.wait_with_output()).await {
        Err(_) => Err(format!("preparing did not end within {} s", LIMIT.as_secs())),
        Ok(Err(error)) => Err(format!("cannot wait for the runtime: {error}")),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let words = String::from_utf8_lossy(&output.stderr);
            let words = words.trim();
            // It begins with the container's name, which our caller says as well.
            let reason = words.split_once(": ").map_or(words, |(_, reason)| reason);
            Err(if reason.is_empty() { output.status.to_string() } else { reason.to_owned() })
        }
    }
}
