//! `start`, and the server that it starts (containerd, docs/runtime-v2.md, "Commands").

use std::ffi::CString;
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use containerd_shim_protos::types::introspection::{RuntimeInfo, RuntimeVersion};
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::args::Identity;
use super::event::Subject;
use super::host::Linux;
use super::publisher::Publisher;
use super::server::Server;
use super::task::Machine;
use super::wire::encode;
use super::{NAME, print, protection, say};
use crate::sys::spawn;

/// Where shims listen; containerd keeps nothing else there.
const SOCKETS: &str = "/run/containerd/s";
/// In the bundle: where the shim listens. containerd 1.7 finds it there when it is started again.
pub(super) const ADDRESS_FILE: &str = "address";
/// In the bundle: the pipe that containerd copies to its log.
const LOG: &str = "log";
/// The variable with containerd's socket for events.
const TTRPC_ADDRESS: &str = "TTRPC_ADDRESS";
/// What the kernel shows as the process's name: 15 bytes at most.
const SHORT_NAME: &str = "containerd-shim";

/// Starts a server, tells containerd where it is, and leaves it alone.
pub fn start(identity: &Identity) -> Result<(), String> {
    let path = socket_path()?;
    let listener = listen(&path).map_err(|error| format!("cannot listen on {}: {error}", path.display()))?;
    let result = launch(identity, listener).and_then(|server| announce(&path).inspect_err(|_| end(server)));
    if result.is_err() {
        // Nobody will hear of it.
        std::fs::remove_file(&path).ok();
    }
    result
}

fn launch(identity: &Identity, listener: UnixListener) -> Result<Pid, String> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(format!("/usr/bin/{NAME}"))
        .args(["-namespace", &identity.namespace, "-id", &identity.id, "-address"])
        .arg(&identity.address)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(log())
        .current_dir("/");
    spawn(&mut command, None).map_err(|errno| format!("cannot start the server: {errno}"))
}

/// Ends a server that nobody can find: a containerd that died while we started it starts another when it is back.
fn end(server: Pid) {
    match kill(server, Signal::SIGKILL).and_then(|()| waitpid(server, None)) {
        Ok(_) => {}
        Err(errno) => say(&format!("cannot end the server {server}: {errno}")),
    }
}

/// The pipe to containerd's log; opened for reading too, so that it outlives containerd, and never waits.
fn log() -> Stdio {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    options.open(LOG).map_or_else(|_| Stdio::null(), Stdio::from)
}

/// A name that no other shim has: process ids come again, the clock does not.
fn socket_path() -> Result<PathBuf, String> {
    let now =
        clock_gettime(ClockId::CLOCK_BOOTTIME).map_err(|errno| format!("cannot read the clock: {errno}"))?;
    let name = format!("{}-{}-{}", std::process::id(), now.tv_sec(), now.tv_nsec());
    Ok(Path::new(SOCKETS).join(name))
}

/// A socket for root alone.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Writes the address into the bundle, which is the working directory, and prints it.
fn announce(path: &Path) -> Result<(), String> {
    let address = format!("unix://{}", path.display());
    let temporary = format!(".{ADDRESS_FILE}");
    std::fs::write(&temporary, &address)
        .and_then(|()| std::fs::rename(&temporary, ADDRESS_FILE))
        .map_err(|error| format!("cannot write {ADDRESS_FILE} in the bundle: {error}"))?;
    // Version 3 says the same, and containerd 1.7 does not know it.
    let answer = serde_json::json!({ "version": 2, "address": address, "protocol": "ttrpc" });
    print(answer.to_string().as_bytes())
}

/// Serves on the socket that is standard input, until containerd says that it is enough.
pub fn serve(identity: Identity) -> Result<(), String> {
    let listener =
        take_listener().map_err(|error| format!("standard input is not a socket to serve on: {error}"))?;
    let path = listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
    let path = path.ok_or("the socket to serve on has no path")?;
    name_process();
    protection::protect();
    let subject = Subject { namespace: identity.namespace.clone(), id: identity.id.clone() };
    let events =
        std::env::var_os(TTRPC_ADDRESS).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    let machine = Machine::new(identity.id.clone(), std::process::id());
    let host =
        Linux::new(identity, path.clone()).map_err(|errno| format!("cannot become a shim: {errno}"))?;
    let server = Server::new(machine, host, Publisher::new(subject, events), listener)
        .map_err(|error| format!("cannot serve on {}: {error}", path.display()))?;
    let result = server.run().map_err(|errno| format!("cannot wait: {errno}"));
    // containerd has what it wanted of us; a name that is left does no harm.
    std::fs::remove_file(&path).ok();
    result
}

/// Standard input as a socket; children get `/dev/null` instead.
fn take_listener() -> std::io::Result<UnixListener> {
    let listener = UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    nix::unistd::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(listener)
}

fn name_process() {
    let named = CString::new(SHORT_NAME).map(|name| nix::sys::prctl::set_name(&name));
    if !matches!(named, Ok(Ok(()))) {
        say("cannot set the process name");
    }
}

/// What containerd 2 asks a shim about itself.
pub fn info() -> Result<Vec<u8>, String> {
    let version =
        RuntimeVersion { version: env!("CARGO_PKG_VERSION").to_owned(), ..RuntimeVersion::default() };
    let info = RuntimeInfo {
        name: "io.containerd.runc.v2".to_owned(),
        version: Some(version).into(),
        ..RuntimeInfo::default()
    };
    encode(&info).map_err(|fault| fault.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_roots_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s/1-2-3");
        let _listener = listen(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        assert_eq!(listen(&path).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    }

    #[test]
    fn names_of_sockets_fit_and_differ() {
        let (one, other) = (socket_path().unwrap(), socket_path().unwrap());
        assert_ne!(one, other);
        // sun_path has 108 bytes (unix(7)); a terminal's socket has a longer name.
        assert!(one.with_extension("console").as_os_str().len() < 108);
    }
}
