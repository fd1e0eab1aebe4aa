//! Why a tree is not there.

use std::path::PathBuf;

use nix::errno::Errno;
use thiserror::Error;

use crate::tree::Quoted;

/// Why the tree is not there.
#[derive(Debug, Error)]
pub enum MaterialiseError {
    /// The directory is not usable.
    #[error("{}: {}", .directory.display(), explain(*.cause))]
    Target {
        /// Where the tree should be.
        directory: PathBuf,
        /// The system's answer.
        cause: Errno,
    },
    /// Another run has locked the directory.
    #[error("{}: another run is writing there", .0.display())]
    Busy(PathBuf),
    /// One file or directory could not be written.
    #[error("{}: cannot {action} {}: {}", .directory.display(), Quoted(.path), explain(*.cause))]
    Entry {
        /// Where the tree should be.
        directory: PathBuf,
        /// What was to be done.
        action: &'static str,
        /// To what, below the directory.
        path: String,
        /// The system's answer.
        cause: Errno,
    },
}

pub(super) fn explain(errno: Errno) -> &'static str {
    match errno {
        Errno::ELOOP => "it is, or leads through, a symbolic link, which is never followed here",
        Errno::EXDEV => "it leads out of the directory or is a mount point",
        Errno::ENOTDIR => "there is something else than a directory",
        other => other.desc(),
    }
}
