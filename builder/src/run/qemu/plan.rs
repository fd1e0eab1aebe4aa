//! What is known when QEMU is started, as values.

use std::path::PathBuf;

use super::arch::Arch;
use super::usb::Device;
use crate::run::disk::Format;
use crate::run::publish::Published;

/// All that is known when QEMU is started; every path is absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The machine's architecture.
    pub arch: Arch,
    /// What is booted.
    pub boot: Boot,
    /// EFI firmware, instead of QEMU's BIOS.
    pub firmware: Option<Firmware>,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of processors.
    pub cpus: u32,
    /// `-cpu`.
    pub cpu_model: &'static str,
    /// `-accel`, in the order in which they are tried.
    pub accelerators: Vec<String>,
    /// Data disks.
    pub disks: Vec<Drive>,
    /// The image of the metadata CD.
    pub metadata_cd: Option<PathBuf>,
    /// The network.
    pub network: Network,
    /// What is plugged into USB; `None` when there is no USB.
    pub usb: Option<Vec<Device>>,
    /// Directories of the host that the machine can mount.
    pub shares: Vec<Share>,
    /// Where the console leads: the first serial port, or on IBM Z the operator's.
    pub console: Console,
    /// Where to listen for QMP.
    pub qmp: Vec<PathBuf>,
    /// Where QEMU writes its process number.
    pub pid_file: PathBuf,
    /// Whether there is a window.
    pub gui: bool,
    /// Whether QEMU becomes a daemon.
    pub detach: bool,
}

/// What is booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// A disk. It is attached read-only: nothing in our images writes to it, and two machines can use one image.
    Disk(Drive),
    /// A CD.
    Iso(PathBuf),
    /// A kernel that QEMU loads itself.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// The initrd, if there is one.
        initrd: Option<PathBuf>,
        /// The command line.
        cmdline: String,
        /// The first disk, read-only, when the root is on it.
        root: Option<PathBuf>,
    },
    /// An EFI program that has all of this in it.
    Program(PathBuf),
}

/// EFI firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// The code.
    pub code: PathBuf,
    /// The machine's own variable store; `None` where it is in the same file, and nothing is kept.
    pub variables: Option<PathBuf>,
}

/// A disk image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The image.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
}

/// The network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// There is none.
    None,
    /// There is one.
    Card {
        /// The machine's MAC address.
        mac: String,
        /// What is at the other end of the cable.
        peer: Peer,
    },
}

/// What a machine's network card is connected with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// QEMU's own network, and ports that lead from the host to the machine.
    User(Vec<Published>),
    /// A TAP interface of the host.
    Tap(String),
    /// A bridge of the host.
    Bridge(String),
}

/// A directory of the host that the machine can mount: `mount -t virtiofs TAG DIR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The directory.
    pub dir: PathBuf,
    /// Its name in the machine: `virtiofs0`, `virtiofs1`, …
    pub tag: String,
    /// Where its virtiofsd listens.
    pub socket: PathBuf,
    /// Where its virtiofsd says what is wrong.
    pub log: PathBuf,
}

/// Where the console leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Console {
    /// To standard input and output.
    Terminal {
        /// Whether these are a terminal: then all keys go to the machine, and Ctrl-A leads to QEMU's monitor.
        interactive: bool,
        /// Where what is shown is written as well.
        copy: Option<PathBuf>,
    },
    /// To a file.
    File(PathBuf),
}
