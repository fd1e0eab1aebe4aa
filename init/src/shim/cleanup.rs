//! `delete`: ends and removes what a server that died has left of its container (containerd, docs/runtime-v2.md).

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use containerd_shim_protos::shim::oci::Options;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::args::Identity;
use super::bootstrap::ADDRESS_FILE;
use super::host::{Config, Program, Record, unmount_rootfs};
use super::reply::{Ended, deleted};
use super::wire::encode;
use super::{print, say};
use crate::cgroup::Cgroup;
use crate::runtime::read_bounded;

/// How long processes may take to be gone after SIGKILL.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How long the runtime may take.
const RUNTIME_LIMIT: Duration = Duration::from_secs(10);
/// Between looks.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// 128 + SIGKILL: nobody saw how it ended, and this is how we end it.
const KILLED: u32 = 137;

/// Leaves nothing of the container, goes on after whatever fails, and prints how it ended.
pub fn delete(identity: &Identity, bundle: Option<PathBuf>) -> Result<(), String> {
    let bundle = match bundle {
        Some(bundle) => bundle,
        None => std::env::current_dir().map_err(|error| format!("no bundle was given: {error}"))?,
    };
    let record = Record::read(&bundle);
    let config = Config::read(&bundle).unwrap_or_default();
    let own_pid_namespace =
        record.as_ref().map_or(config.own_pid_namespace, |record| record.own_pid_namespace);
    let recorded = record.as_ref().and_then(|record| record.cgroup.clone());
    let cgroup = recorded.or_else(|| Cgroup::named(Path::new(&config.cgroups_path)));

    if let Some(record) = &record {
        kill_first(record);
    }
    match cgroup.as_ref().filter(|_| !own_pid_namespace).map(|cgroup| cgroup.kill_all(KILL_LIMIT)) {
        None | Some(Ok(true)) => {}
        Some(Ok(false)) => say(&format!("{}: processes do not end after SIGKILL", identity.id)),
        Some(Err(error)) => say(&format!("{}: cannot tell whether processes are left: {error}", identity.id)),
    }
    if let Err(reason) = delete_in_runtime(identity, &bundle, record.as_ref()) {
        say(&format!("{}: {reason}", identity.id));
    }
    if let Some(Err(error)) = cgroup.as_ref().map(Cgroup::remove) {
        say(&format!("{}: cannot remove its cgroup: {error}", identity.id));
    }
    if let Err(errno) = unmount_rootfs(&bundle) {
        say(&format!("{}: cannot unmount the root filesystem: {errno}", identity.id));
    }
    remove_socket(&bundle);
    let pid = record.map_or(0, |record| record.pid);
    let ended = Ended { pid, status: KILLED, at: SystemTime::now() };
    let bytes = encode(&deleted(ended)).map_err(|fault| fault.message)?;
    print(&bytes)
}

/// Kills the container's first process, and waits for its end: it is another's child.
fn kill_first(record: &Record) {
    let Some(pid) = i32::try_from(record.pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    // Only now, with the number held, is it sure whose it is.
    if !record.process_lives() {
        return;
    }
    match pidfd_send_signal(&handle, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(errno) => return say(&format!("cannot kill process {}: {errno}", record.pid)),
    }
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let mut fds = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(KILL_LIMIT).unwrap_or(PollTimeout::MAX);
    if poll(&mut fds, limit) == Ok(0) {
        say(&format!("process {} does not end after SIGKILL", record.pid));
    }
}

/// The runtime's own delete; of a container that it does not know there is nothing to be deleted.
fn delete_in_runtime(identity: &Identity, bundle: &Path, record: Option<&Record>) -> Result<(), String> {
    let mut options = Options::new();
    if let Some(runtime) = record.and_then(|record| record.runtime.as_deref()) {
        options.binary_name = runtime.to_string_lossy().into_owned();
    }
    let mut program = Program::choose(&options, &identity.namespace);
    if let Some(record) = record {
        program.root.clone_from(&record.root);
    }
    if !program.root.join(&identity.id).exists() {
        return Ok(());
    }
    let mut command: Command = program.command(bundle, "delete", ["--force", &identity.id]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("cannot execute the runtime: {error}"))?;
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("the runtime cannot delete it: {status}")),
            Ok(None) if begun.elapsed() < RUNTIME_LIMIT => std::thread::sleep(LOOK_AGAIN),
            Ok(None) => {
                child.kill().map_err(|error| format!("cannot kill the runtime: {error}"))?;
                return Err(format!("the runtime did not end within {} s", RUNTIME_LIMIT.as_secs()));
            }
            Err(error) => return Err(format!("cannot wait for the runtime: {error}")),
        }
    }
}

/// The dead server's socket.
fn remove_socket(bundle: &Path) {
    let Ok(bytes) = read_bounded(&bundle.join(ADDRESS_FILE), 4096) else { return };
    if let Some(path) = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_prefix("unix://")) {
        // A name that is left does no harm.
        std::fs::remove_file(path).ok();
    }
}
