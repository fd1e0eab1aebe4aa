//! What a containerd or a client that died in the middle of creating a task leaves behind, and containerd itself does
//! not know any more: a bundle directory, and maybe a shim.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::process::Command;

use super::{SOCKET, TaskId};

/// The shim of `io.containerd.runc.v2`.
const SHIM: &str = "containerd-shim-runc-v2";
const SHIM_PATH: &str = "/usr/bin/containerd-shim-runc-v2";
const CONTAINERD: &str = "/usr/bin/containerd";
/// Where containerd keeps bundles while tasks run, and what outlives them.
const BUNDLES: [&str; 2] =
    ["/run/containerd/io.containerd.runtime.v2.task", "/var/lib/containerd/io.containerd.runtime.v2.task"];
/// How long the shim may take to clean up.
const LIMIT: Duration = Duration::from_secs(10);

/// Removes them: kills the shim, lets a new one delete the container as containerd would, removes the bundle.
///
/// Only to be called for a task that containerd does not know.
pub async fn remove(task: &TaskId) -> std::io::Result<()> {
    kill_shims(task)?;
    let [bundle, persistent] = BUNDLES.map(|root| Path::new(root).join(&task.namespace).join(&task.id));
    if bundle.is_dir() {
        // Its failure shows when the task is created, and nothing else can be done about it here.
        drop(delete(task, &bundle).await);
    }
    for dir in [bundle, persistent] {
        match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The shim's `delete` (containerd's runtime v2 documentation): kills and deletes what runc knows of the container.
async fn delete(task: &TaskId, bundle: &PathBuf) -> std::io::Result<()> {
    let mut command = Command::new(SHIM_PATH);
    command
        .args([
            "-namespace",
            &task.namespace,
            "-address",
            SOCKET,
            "-publish-binary",
            CONTAINERD,
            "-id",
            &task.id,
        ])
        .arg("-bundle")
        .arg(bundle)
        .arg("delete")
        .current_dir(bundle)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    tokio::time::timeout(LIMIT, command.status()).await?.map(drop)
}

fn kill_shims(task: &TaskId) -> std::io::Result<()> {
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        // Held before it is looked at; a process that has ended meanwhile is no shim any more.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let command_line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if is_shim_of(&command_line, task) {
            match pidfd_send_signal(&handle, Signal::KILL) {
                Err(errno) if errno != rustix::io::Errno::SRCH => return Err(errno.into()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether a command line (words ended by NUL) is that of the shim of `task`.
fn is_shim_of(command_line: &[u8], task: &TaskId) -> bool {
    let mut words = command_line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = words.next().unwrap_or_default().into_owned();
    let words: Vec<_> = words.collect();
    let value = |option: &str| words.iter().skip_while(|word| *word != option).nth(1);
    Path::new(&program).file_name().is_some_and(|name| name == SHIM)
        && value("-namespace").is_some_and(|word| *word == task.namespace)
        && value("-id").is_some_and(|word| *word == task.id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn task() -> TaskId {
        TaskId { namespace: "services.linuxkit".into(), id: "slapd".into() }
    }

    #[test]
    fn only_the_tasks_own_shim_is_taken_for_it() {
        let cases: [(&[u8], bool); 5] = [
            (b"/usr/bin/containerd-shim-runc-v2\0-namespace\0services.linuxkit\0-id\0slapd\0-address\0/x\0", true),
            (b"/usr/bin/containerd-shim-runc-v2\0-namespace\0default\0-id\0slapd\0", false),
            (b"/usr/bin/containerd-shim-runc-v2\0-namespace\0services.linuxkit\0-id\0slapd2\0", false),
            (b"/bin/sh\0-namespace\0services.linuxkit\0-id\0slapd\0", false),
            (b"", false),
        ];
        for (line, expected) in cases {
            assert_eq!(is_shim_of(line, &task()), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    proptest! {
        #[test]
        fn no_other_command_line_is_a_shim(line in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!is_shim_of(&line, &task()));
        }
    }
}
