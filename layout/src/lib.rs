//! Paths and types that the builder writes into an image and init reads from it.
//!
//! The layout is LinuxKit's, so that images made by either builder boot with either init:
//!
//! ```text
//! /containers/onboot/NNN-NAME/      config.json runtime.json lower/ tmp/ rootfs/   (or rootfs/ alone when read-only)
//! /containers/onshutdown/NNN-NAME/  the same
//! /containers/services/NAME/        the same
//! /containers/volumes/NAME/         lower/ tmp/ merged/
//! ```

pub mod initrd;
mod runtime;
mod signal;
mod supervision;
pub mod timeline;

pub use runtime::{BindNamespaces, Interface, Mount, Runtime};
pub use signal::signal_number;
pub use supervision::{Health, OnFailure, Probe, Ready, Restart, Stop};

/// Containers that run once, one after another, before any service.
pub const ONBOOT: &str = "containers/onboot";
/// Containers that run once when the machine goes down, after the services have stopped.
pub const ONSHUTDOWN: &str = "containers/onshutdown";
/// Containers that run for as long as the machine does.
pub const SERVICES: &str = "containers/services";
/// Volumes that containers share.
pub const VOLUMES: &str = "containers/volumes";

/// The OCI runtime configuration, inside a container's directory.
pub const CONFIG: &str = "config.json";
/// What must be prepared around the container (see [`Runtime`]), inside a container's directory.
pub const RUNTIME: &str = "runtime.json";
/// The container's root filesystem as it is run, inside a container's directory.
pub const ROOTFS: &str = "rootfs";
/// The image's own files below a writable root filesystem, inside a container's or volume's directory.
pub const LOWER: &str = "lower";
/// Where the writable layer's tmpfs is mounted, inside a container's or volume's directory.
pub const TMP: &str = "tmp";
/// A volume's files as containers see them, inside a volume's directory.
pub const MERGED: &str = "merged";

/// containerd's namespace for services that ask for no other.
pub const SERVICES_NAMESPACE: &str = "services.linuxkit";

/// The directory name of the `index`th one-shot container: `NNN-NAME`, counted from 000.
#[must_use]
pub fn one_shot_name(index: usize, name: &str) -> String {
    format!("{index:03}-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shots_are_numbered_with_three_digits() {
        assert_eq!(one_shot_name(0, "sysctl"), "000-sysctl");
        assert_eq!(one_shot_name(12, "mount"), "012-mount");
    }
}
