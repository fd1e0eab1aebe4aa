//! Why a machine does not run.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;

use super::arch::Arch;
use super::boot::NotFound;
use super::expect::NotShown;
use super::firmware::FirmwareError;
use super::state::StateError;
use super::virtiofsd::ShareError;
use crate::run::networking::Networking;
use crate::run::publish::PublishError;

/// Why a machine does not run.
#[derive(Debug, Error)]
pub enum QemuError {
    /// Nothing that QEMU is used for.
    #[error("cannot run machines of architecture {0:?}: x86_64, aarch64, s390x and riscv64 are possible")]
    Arch(String),
    /// Nothing to boot.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// A file to boot from cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `PATH-cmdline` is no command line.
    #[error("{} is no kernel command line: it has more than 64 KiB, or is not UTF-8", .0.display())]
    NoCmdline(PathBuf),
    /// A program is not there.
    #[error("{program} is not in PATH: install the Debian package {package}")]
    NoProgram {
        /// The program.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// The program that was asked for is none.
    #[error("{} cannot be executed: it is not there, or no program", .0.display())]
    NotExecutable(PathBuf),
    /// Ports without the network that has them.
    #[error("--publish needs QEMU's own network, where --networking is {0}: leave one of them out")]
    PublishElsewhere(Networking),
    /// The bridge is not there.
    #[error("there is no bridge {0}: make it with `ip link add {0} type bridge`")]
    NoBridge(String),
    /// The machine cannot have USB.
    #[error("{} machines have no USB: leave out --usb", .0.name())]
    NoUsb(Arch),
    /// A directory of the host cannot be shared.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The console did not show what was waited for.
    #[error(transparent)]
    NotShown(#[from] NotShown),
    /// A port cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// There is no firmware.
    #[error(transparent)]
    Firmware(#[from] FirmwareError),
    /// The state directory or what is in it.
    #[error(transparent)]
    State(#[from] StateError),
    /// QEMU could not be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The boot chart cannot be written.
    #[error("cannot write the boot chart {}", path.display())]
    Chart {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// QEMU gave up before it was a daemon.
    #[error("QEMU did not start: {0}; the reason is above")]
    Failed(ExitStatus),
}
