//! `runtime run`: a container from nothing to nothing; and what is around it: preparing, attaching, releasing.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use image_layout::Runtime;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::bundle::{Bundle, read_runtime, read_spec_value};
use super::create::{Create, Created, create};
use super::delete::{delete, has_remains};
use super::error::chain;
use super::prepare::{self, Kernel, Records};
use super::volumes::RECORD_PREFIX;
use super::{RUNTIME_FAILED, RuntimeError, STATE_ROOT, namespaces, network};
use crate::whole;

/// How long a container may take to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// `runtime prepare`: mounts, directories and cgroups of a bundle, once.
pub fn prepare(bundle: &Path, id: &str) -> Result<(), RuntimeError> {
    let spec = read_spec_value(bundle)?;
    let read_only = spec.pointer("/root/readonly").and_then(serde_json::Value::as_bool).unwrap_or_default();
    prepare_with(bundle, id, &read_runtime(bundle)?, read_only)
}

/// As [`prepare`], of a bundle that has been read.
pub fn prepare_with(bundle: &Path, id: &str, runtime: &Runtime, read_only: bool) -> Result<(), RuntimeError> {
    let rootfs = bundle.join(image_layout::ROOTFS);
    let mut steps = prepare::plan(runtime)?;
    if read_only {
        // After the mounts of runtime.json, which bring the root filesystem.
        steps.push(prepare::mount_points(&rootfs, &Path::new(STATE_ROOT).join("points").join(id)));
    }
    prepare::apply(&mut Kernel, &Records::default(), id, &rootfs, &steps)
}

/// `runtime attach`: interfaces and namespace files for a created container.
pub fn attach(bundle: &Path, id: &str, pid: i32) -> Result<(), RuntimeError> {
    attach_to(id, pid, &read_runtime(bundle)?)
}

/// As [`attach`], of a bundle that has been read.
pub fn attach_to(id: &str, pid: i32, runtime: &Runtime) -> Result<(), RuntimeError> {
    // A former run's namespaces keep its interfaces alive, whose names are needed again.
    namespaces::unbind(&mut Kernel, &runtime.bind_ns)?;
    network::attach(id, pid, &runtime.interfaces)?;
    namespaces::bind(&mut Kernel, pid, &runtime.bind_ns)
}

/// `runtime release`: unmounts what was prepared for each of `ids`, or for all.
pub fn release(ids: &[String]) -> Result<(), RuntimeError> {
    let records = Records::default();
    let mut ids = ids.to_vec();
    if ids.is_empty() {
        ids = records.ids()?;
        // Containers use volumes, so volumes go last.
        ids.sort_by_key(|id| id.starts_with(RECORD_PREFIX));
    }
    let mut result = Ok(());
    for id in &ids {
        if let Err(error) = prepare::release(&mut Kernel, &records, id, None) {
            result = result.and(Err(error));
        }
    }
    result
}

/// `runtime run`: the whole life of a container; returns its exit code.
pub fn run(root: &Path, bundle: &Path, id: &str, exit_file: Option<&Path>) -> Result<u8, RuntimeError> {
    Run { root, bundle, id, exit_file, signals: &wait_for_containers()?, begun: &|| () }.to_the_end()
}

/// Makes the calling process one that containers can be waited for in.
pub fn wait_for_containers() -> Result<Signals, RuntimeError> {
    // A container's first process loses its parent when it is cloned, and must become our child.
    nix::sys::prctl::set_child_subreaper(true).map_err(RuntimeError::system("become a subreaper"))?;
    Signals::block()
}

/// The whole life of a container.
pub struct Run<'a> {
    /// Where the state of containers is kept.
    pub root: &'a Path,
    /// The container's directory.
    pub bundle: &'a Path,
    /// Its id.
    pub id: &'a str,
    /// Where the outcome is written.
    pub exit_file: Option<&'a Path>,
    /// What tells of ends.
    pub signals: &'a Signals,
    /// Called when the container runs.
    pub begun: &'a dyn Fn(),
}

impl Run<'_> {
    /// Lives it, from nothing to nothing; returns the container's exit code.
    pub fn to_the_end(&self) -> Result<u8, RuntimeError> {
        let result = self.run_and_clean_up();
        if let Some(path) = self.exit_file {
            let code = *result.as_ref().unwrap_or(&RUNTIME_FAILED);
            write_exit(path, code)?;
        }
        result
    }

    fn run_and_clean_up(&self) -> Result<u8, RuntimeError> {
        let Self { root, bundle, id, .. } = *self;
        if has_remains(root, id) {
            // Of a container of the same id, by a runtime that was killed.
            delete(root, id, true)?;
        }
        let result = self.create_and_wait();
        let released = prepare::release(&mut Kernel, &Records::default(), id, Some(bundle));
        match (result, released) {
            (Ok(code), Err(error)) => {
                // The container did its work; its exit code counts, and what is left mounted is still recorded.
                eprintln!("{id}: {}", chain(&error));
                Ok(code)
            }
            (result, _) => result,
        }
    }

    fn create_and_wait(&self) -> Result<u8, RuntimeError> {
        let Self { root, id, .. } = *self;
        let bundle = Bundle::read(self.bundle)?;
        prepare_with(self.bundle, id, &bundle.runtime, bundle.read_only())?;
        let request = Create { root, id, console_socket: None, pid_file: None };
        let result = create(request, &bundle).and_then(|created| {
            let result = self.start_and_wait(created, &bundle);
            // By force, because a failure may have left it created or running.
            let deleted = delete(root, id, true);
            result.and_then(|code| deleted.map(|()| code))
        });
        reap();
        result
    }

    fn start_and_wait(&self, mut created: Created, bundle: &Bundle) -> Result<u8, RuntimeError> {
        let id = self.id;
        for warning in &created.warnings {
            eprintln!("{id}: {warning}");
        }
        let pid = created.container.pid().ok_or(RuntimeError::NoProcess)?;
        attach_to(id, pid.as_raw(), &bundle.runtime)?;
        created.container.start().map_err(RuntimeError::container("start"))?;
        (self.begun)();
        self.signals.wait_for_exit(Pid::from_raw(pid.as_raw()))
    }
}

fn write_exit(path: &Path, code: u8) -> Result<(), RuntimeError> {
    whole::write(path, format!("{code}\n").as_bytes()).map_err(RuntimeError::io("write", path))
}

/// Collects processes that ended meanwhile; there may be none, which is no error.
fn reap() {
    while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
    {
    }
}

/// SIGCHLD, SIGTERM and SIGINT, blocked and read from a file descriptor.
#[derive(Debug)]
pub struct Signals {
    signals: SignalFd,
    told: Cell<bool>,
}

impl Signals {
    /// Blocks them in this process.
    pub fn block() -> Result<Self, RuntimeError> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
            set.add(signal);
        }
        set.thread_block().map_err(RuntimeError::system("block signals"))?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(RuntimeError::system("open a signalfd"))?;
        Ok(Self { signals, told: Cell::new(false) })
    }

    /// Whether there was a SIGTERM or SIGINT.
    #[must_use]
    pub fn told_to_end(&self) -> bool {
        self.told.get()
    }

    /// Waits until `other` can be read, or for SIGTERM or SIGINT.
    pub fn wait_for(&self, other: BorrowedFd<'_>) -> Result<(), RuntimeError> {
        loop {
            let mut fds = [self.signals.as_fd(), other].map(|source| PollFd::new(source, PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(RuntimeError::system("wait for a request")(errno)),
            }
            let [signalled, readable] = fds.map(|source| source.any() == Some(true));
            if signalled {
                self.read();
            }
            if readable || self.told_to_end() {
                return Ok(());
            }
        }
    }

    /// Reads all that are pending; whether SIGTERM or SIGINT was among them.
    fn read(&self) -> bool {
        let mut told = false;
        while let Ok(Some(info)) = self.signals.read_signal() {
            told |= info.ssi_signo != Signal::SIGCHLD as u32;
        }
        self.told.set(self.told.get() || told);
        told
    }

    /// Waits for `init`; SIGTERM to us is SIGTERM to it, and SIGKILL when it does not end by that.
    pub fn wait_for_exit(&self, init: Pid) -> Result<u8, RuntimeError> {
        let mut kill_at: Option<Instant> = None;
        loop {
            if let Some(code) = collect(init)? {
                return Ok(code);
            }
            let timeout = match kill_at {
                None => PollTimeout::NONE,
                Some(at) => PollTimeout::try_from(at.saturating_duration_since(Instant::now()))
                    .unwrap_or(PollTimeout::MAX),
            };
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(RuntimeError::system("wait for signals")(errno)),
            }
            if self.read() && kill_at.is_none() {
                signal(init, Signal::SIGTERM)?;
                kill_at = Some(Instant::now() + GRACE);
            }
            if kill_at.is_some_and(|at| Instant::now() >= at) {
                signal(init, Signal::SIGKILL)?;
                kill_at = Some(Instant::now() + GRACE);
            }
        }
    }
}

fn signal(pid: Pid, signal: Signal) -> Result<(), RuntimeError> {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(RuntimeError::system("signal the container")(errno)),
    }
}

/// Reaps everything that has ended; the exit code when `init` was among it.
fn collect(init: Pid) -> Result<Option<u8>, RuntimeError> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == init => code = Some(exit_code(status)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == init => {
                code = Some(exit_code(128 + signal as i32))
            }
            Ok(WaitStatus::StillAlive) => return Ok(code),
            Ok(_) => {}
            Err(Errno::ECHILD) if code.is_some() => return Ok(code),
            Err(errno) => return Err(RuntimeError::system("wait for the container")(errno)),
        }
    }
}

fn exit_code(status: i32) -> u8 {
    u8::try_from(status & 0xff).unwrap_or(RUNTIME_FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_is_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000-a.exit");
        write_exit(&path, 137).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "137\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
