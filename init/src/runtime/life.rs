//! What is done to a created container: start, signal, freeze, change its limits.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

use libcgroups::common::{CgroupManager, ControllerOpt};
use oci_spec::runtime::LinuxResources;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::known::{Known, Status};
use super::{RuntimeError, chain, read_bounded};
use crate::sys::{SIGKILL, pidfd_kill};

/// Lets the program of container `id` run. Does not clone, so that it can be called from anywhere with one thread.
pub fn start(root: &Path, id: &str) -> Result<(), RuntimeError> {
    start_known(&mut Known::load(root, id)?)
}

/// As [`start`], of a container that has been looked up.
pub fn start_known(known: &mut Known) -> Result<(), RuntimeError> {
    match known.status() {
        Status::Created => known.container.start().map_err(RuntimeError::container("start")),
        status => Err(RuntimeError::State { action: "start", status }),
    }
}

/// Sends signal number `signal` to the first process of container `id`, or to all its processes.
///
/// # Errors
/// [`RuntimeError::NotRunning`] when the first process has ended; not when all get it, as others may live on.
pub fn kill(root: &Path, id: &str, signal: u32, all: bool) -> Result<(), RuntimeError> {
    let known = Known::load(root, id)?;
    if all {
        return known.cgroup()?.signal_all(signal);
    }
    let init = known.init().ok_or(RuntimeError::NotRunning)?;
    let pid = i32::try_from(init.pid).ok().and_then(Pid::from_raw).ok_or(RuntimeError::NotRunning)?;
    // Held before it is asked who it is.
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| RuntimeError::NotRunning)?;
    if !init.is_alive() {
        return Err(RuntimeError::NotRunning);
    }
    pidfd_kill(process.as_fd(), signal).map_err(RuntimeError::system("signal the container"))?;
    if signal == SIGKILL && known.status() == Status::Paused && !known.cgroup()?.unified() {
        // Version 1 delivers no SIGKILL to the frozen.
        resume(root, id)?;
    }
    Ok(())
}

/// Freezes all processes of container `id`.
pub fn pause(root: &Path, id: &str) -> Result<(), RuntimeError> {
    let mut known = Known::load(root, id)?;
    match known.status() {
        Status::Running => known.container.pause().map_err(RuntimeError::container("pause")),
        status => Err(RuntimeError::State { action: "pause", status }),
    }
}

/// Lets the frozen processes of container `id` go on.
pub fn resume(root: &Path, id: &str) -> Result<(), RuntimeError> {
    let mut known = Known::load(root, id)?;
    match known.status() {
        Status::Paused => known.container.resume().map_err(RuntimeError::container("resume")),
        status => Err(RuntimeError::State { action: "resume", status }),
    }
}

/// No real list of limits is near this size (bytes).
const LIMIT: u64 = 1 << 20;

/// Reads OCI resources from a file, or from standard input when it is called `-`.
pub fn read_resources(path: &Path) -> Result<LinuxResources, RuntimeError> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().take(LIMIT).read_to_end(&mut bytes).map_err(RuntimeError::io("read", path))?;
        bytes
    } else {
        read_bounded(path, LIMIT)?
    };
    serde_json::from_slice(&bytes).map_err(|source| RuntimeError::Json { path: path.to_owned(), source })
}

/// Changes the limits of container `id`; those that `resources` does not name stay as they are.
pub fn update(root: &Path, id: &str, resources: &LinuxResources) -> Result<(), RuntimeError> {
    let known = Known::load(root, id)?;
    let status = known.status();
    if matches!(status, Status::Stopped | Status::Creating) {
        return Err(RuntimeError::State { action: "update", status });
    }
    let cgroup = known.cgroup()?;
    let no_rules = resources.devices().as_ref().is_none_or(Vec::is_empty);
    if !no_rules {
        return Err(RuntimeError::Unsupported("devices of a container cannot be changed".to_owned()));
    }
    let change =
        ControllerOpt { resources, disable_oom_killer: false, oom_score_adj: None, freezer_state: None };
    cgroup.manager()?.apply(&change).map_err(|error| RuntimeError::Cgroup {
        action: "change the limits of",
        path: cgroup.dir(),
        reason: chain(&error),
    })
}
