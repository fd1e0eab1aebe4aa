//! What can go wrong around one container.

use std::path::{Path, PathBuf};

use libcontainer::error::LibcontainerError;
use nix::errno::Errno;

use super::network::InterfaceError;
use super::prepare::PlanError;

/// Why a container could not be prepared, run or taken down.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A file or directory could not be handled.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file of the bundle is larger than any real one.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// A file of the bundle is not what it should be.
    #[error("{path} is not valid")]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// `config.json` has no `root`.
    #[error("{0} has no root.path")]
    NoRoot(PathBuf),
    /// `runtime.json` asks for something that is not possible.
    #[error("runtime.json cannot be carried out")]
    Plan(#[from] PlanError),
    /// A mount was refused by the kernel.
    #[error("cannot mount {what} on {target}")]
    Mount {
        /// Type or source.
        what: String,
        /// Mount point.
        target: PathBuf,
        /// Why.
        source: Errno,
    },
    /// A mount point that the container or its image could lead elsewhere.
    #[error(
        "cannot mount on {0} in the container: it or a directory on the way is a link; make it a directory in the image"
    )]
    LinkedMountPoint(PathBuf),
    /// A file system could not be unmounted.
    #[error("cannot unmount {target}")]
    Unmount {
        /// Mount point.
        target: PathBuf,
        /// Why.
        source: Errno,
    },
    /// Another system call failed.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: Errno,
    },
    /// A network interface could not be given to the container.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// libcontainer refused or failed.
    #[error("cannot {action} the container")]
    Container {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: Box<LibcontainerError>,
    },
    /// A volume that cannot be named in the records.
    #[error("volume {0} is not mounted: its name may only have letters, digits, '.', '_', '-'")]
    VolumeName(PathBuf),
    /// There is no such container.
    #[error("container does not exist")]
    NotFound,
    /// There is one already.
    #[error("a container of this id exists already; delete it first")]
    Exists,
    /// It is in no state for that.
    #[error("cannot {action} a container that is {status}")]
    State {
        /// What was tried.
        action: &'static str,
        /// How far it has come.
        status: super::Status,
    },
    /// A signal for a container that has ended; containerd knows runc's words for it.
    #[error("container not running")]
    NotRunning,
    /// The configuration asks for something that cannot be done.
    #[error("{0}")]
    Unsupported(String),
    /// A bind mount of something that is not there.
    #[error(
        "cannot mount {path} on {destination}: there is no {path} on this machine; an image, a volume or an earlier step must make it"
    )]
    NoSource {
        /// What is missing.
        path: PathBuf,
        /// Where it should have been mounted.
        destination: String,
    },
    /// A cgroup could not be handled.
    #[error("cannot {action} cgroup {path}: {reason}")]
    Cgroup {
        /// What was tried.
        action: &'static str,
        /// Its path below the cgroup mount.
        path: PathBuf,
        /// Why it failed.
        reason: String,
    },
    /// Another container's processes are in the cgroup, and would be killed with this one.
    #[error("cgroup {0} has processes in it: give the container a cgroupsPath of its own")]
    CgroupInUse(PathBuf),
    /// Processes that SIGKILL does not end.
    #[error("processes of the container did not end within {} s of SIGKILL", .0.as_secs())]
    Immortal(std::time::Duration),
    /// Rules for devices that the kernel cannot be made to keep.
    #[error(
        "linux.resources.devices refuses devices, and this kernel cannot: it needs CONFIG_CGROUP_BPF and CONFIG_BPF_SYSCALL"
    )]
    DevicesUnrestricted,
    /// libcontainer failed, and had told why before it let go of the reason.
    #[error("cannot {action} the container: {reason}")]
    Told {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// The container was created but has no process.
    #[error("the container has no process after it was created")]
    NoProcess,
}

impl RuntimeError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(super) fn system(action: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::System { action, source }
    }

    pub(super) fn container(action: &'static str) -> impl FnOnce(LibcontainerError) -> Self {
        move |source| Self::Container { action, source: Box::new(source) }
    }
}

/// An error with all its causes on one line; a cause that the line already tells is not told twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_its_causes_once() {
        let error =
            RuntimeError::Mount { what: "overlay".into(), target: "/c/rootfs".into(), source: Errno::ENODEV };
        assert_eq!(chain(&error), "cannot mount overlay on /c/rootfs: ENODEV: No such device");
    }
}
