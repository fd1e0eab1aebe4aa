//! What runs a machine's services, and where that is configured.

use std::path::{Path, PathBuf};

use crate::readme::example;
use crate::root;

/// What runs the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// init itself.
    Embedded,
    /// containerd, which runs containers by runc.
    Containerd,
    /// containerd, which runs them by init's own runtime.
    Shim,
    /// containerd 1.7, the same.
    Containerd17,
    /// containerd 1.7, which runs containers by its own shim and runc.
    Go17,
    /// containerd 2.1, the same.
    Go21,
}

impl Engine {
    /// What machines with it are called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Containerd => "containerd",
            Self::Shim => "shim",
            Self::Containerd17 => "containerd-1.7",
            Self::Go17 => "go-1.7",
            Self::Go21 => "go-2.1",
        }
    }

    /// The configuration with init and this engine: where a package's README shows that, its example, in `dir`.
    pub(super) fn source(self, dir: &Path) -> PathBuf {
        match self {
            Self::Containerd => example("runc", dir),
            Self::Shim => example("ctr", dir),
            Self::Embedded | Self::Containerd17 | Self::Go17 | Self::Go21 => fault(self.name()),
        }
    }
}

/// One of the fault suite's configurations.
pub(super) fn fault(name: &str) -> PathBuf {
    root().join(format!("tests/faults/{name}.yml"))
}
