//! Runs a machine in QEMU on this host.
//!
//! | file | duty |
//! |---|---|
//! | `boot.rs` | what `PATH` stands for: a disk, a CD, kernel and initrd |
//! | `firmware.rs` | EFI firmware, for images that need it |
//! | `accelerator.rs` | which accelerator, which processor |
//! | `command_line.rs` | a plan → QEMU's arguments |
//! | `stop.rs` | the power button |
//! | `state.rs` | what a machine keeps on the host: MAC address, disks, metadata CD |
//! | `launch.rs` | becomes QEMU, or leaves it behind |
//! | `chart.rs` | runs QEMU, and draws the machine's boot |

mod accelerator;
mod boot;
mod chart;
mod command_line;
mod firmware;
mod launch;
mod state;
mod stop;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use thiserror::Error;

pub use boot::Mode;
pub use chart::Charted;
pub use command_line::{Boot, Console, Drive, Firmware, Network, Plan, command_line};
pub use firmware::FirmwareError;
pub use launch::{Detached, Ready};
pub use state::StateError;
pub use stop::{How, StopError, stop};

use super::disk::{DiskRequest, Format};
use super::publish::{PublishError, Published};
use boot::{Candidate, NotFound};

/// A kernel command line is shorter; a larger file is something else.
const CMDLINE_LIMIT: u64 = 64 << 10;

/// What the machine is told when it asks for its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metadata {
    /// This text.
    Text(String),
    /// The content of this file.
    File(PathBuf),
}

/// How the machine reaches the world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Networking {
    /// Through QEMU, as an ordinary process of the user; nothing reaches the machine but published ports.
    #[default]
    User,
    /// Not at all.
    None,
}

/// What is to be run, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// A disk image, a CD image, or the prefix of a build's files.
    pub path: PathBuf,
    /// What `path` must be; without it that is found out.
    pub mode: Option<Mode>,
    /// Boot by EFI firmware, even an image whose name does not say that it is one for it.
    pub uefi: bool,
    /// The firmware's file; without it, the distribution's.
    pub firmware: Option<PathBuf>,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of processors.
    pub cpus: u32,
    /// Data disks, which the machine sees after its boot disk.
    pub disks: Vec<DiskRequest>,
    /// What goes on the metadata CD.
    pub metadata: Option<Metadata>,
    /// Ports that are reachable on the host.
    pub publish: Vec<Published>,
    /// The network.
    pub networking: Networking,
    /// QEMU's name of an accelerator, several with `:` between them; without it the environment decides, then the host.
    pub accelerator: Option<String>,
    /// The machine's architecture, as `uname -m` or Go spells it.
    pub arch: String,
    /// Where the machine keeps its state; without it, beside `path`.
    pub state: Option<PathBuf>,
    /// Leave the machine running and come back.
    pub detach: bool,
    /// Show a window.
    pub gui: bool,
    /// Where to listen for QMP.
    pub qmp: Option<PathBuf>,
    /// Where to write what the console shows.
    pub console_file: Option<PathBuf>,
}

/// Why a machine does not run.
#[derive(Debug, Error)]
pub enum QemuError {
    /// Not built for this.
    #[error("cannot run machines of architecture {0:?}: x86_64 is the only one so far")]
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
    /// Ports without a network.
    #[error("--publish needs a network: leave out --networking none")]
    PublishWithoutNetwork,
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

/// Finds and prepares all that the machine needs, without starting it.
///
/// # Errors
/// When something is missing, unreadable or in use; see [`QemuError`].
pub fn prepare(options: &Options) -> Result<Ready, QemuError> {
    if !matches!(options.arch.as_str(), "x86_64" | "amd64") {
        return Err(QemuError::Arch(options.arch.clone()));
    }
    let candidate = boot::detect(&options.path, options.mode, &|path| path.is_file())?;
    let firmware = (options.uefi || options.firmware.is_some() || candidate.is_efi())
        .then(|| firmware::find(options.firmware.as_deref(), &|path| path.is_file()))
        .transpose()?;
    let boot = load(candidate)?;
    let program = launch::program("qemu-system-x86_64", "qemu-system-x86")?;
    if options.networking == Networking::None && !options.publish.is_empty() {
        return Err(QemuError::PublishWithoutNetwork);
    }
    options.publish.iter().try_for_each(|published| published.check())?;

    let state = options.state.clone().unwrap_or_else(|| boot::default_state(&options.path));
    let state = state::State::open(&state)?;
    let accelerators = accelerator::choose(
        options.accelerator.clone().or_else(accelerator::from_environment).as_deref(),
        accelerator::kvm_usable(),
    );
    let firmware = firmware
        .map(|found| -> Result<Firmware, QemuError> {
            let variables = found.variables.as_deref().map(|template| state.efi_variables(template));
            Ok(Firmware { code: absolute(&found.code)?, variables: variables.transpose()? })
        })
        .transpose()?;
    let plan = Plan {
        boot,
        firmware,
        memory: options.memory,
        cpus: options.cpus,
        cpu_model: accelerator::cpu_model(&accelerators),
        accelerators,
        disks: state.disks(&options.disks)?,
        metadata_cd: options.metadata.as_ref().map(|metadata| state.metadata_cd(metadata)).transpose()?,
        network: match options.networking {
            Networking::None => Network::None,
            Networking::User => Network::User { mac: state.mac()?, publish: options.publish.clone() },
        },
        console: match (options.detach, options.console_file.as_deref().map(absolute).transpose()?) {
            (true, file) => Console::File(file.unwrap_or_else(|| state.console_log())),
            (false, copy) => Console::Terminal { interactive: io::stdin().is_terminal(), copy },
        },
        qmp: state
            .control_socket()
            .into_iter()
            .chain(options.qmp.as_deref().map(absolute).transpose()?)
            .collect(),
        pid_file: state.pid_file(),
        gui: options.gui,
        detach: options.detach,
    };
    Ok(Ready { program, plan })
}

/// Reads what must be known of the files to boot from.
fn load(candidate: Candidate) -> Result<Boot, QemuError> {
    Ok(match candidate {
        Candidate::Disk(path) => {
            let told = format_of(&path).map_err(|source| QemuError::Read { path: path.clone(), source })?;
            // A fixed VHD says only at its end what it is.
            let named = Format::of_name(&path).filter(|named| matches!(named, Format::Vmdk | Format::Vhd));
            let format = named.unwrap_or(told);
            Boot::Disk(Drive { path: absolute(&path)?, format })
        }
        Candidate::Iso(path) => Boot::Iso(absolute(&path)?),
        Candidate::Program(path) => Boot::Program(absolute(&path)?),
        Candidate::Kernel { kernel, initrd, cmdline } => Boot::Kernel {
            kernel: absolute(&kernel)?,
            initrd: absolute(&initrd)?,
            cmdline: cmdline.map(|path| read_cmdline(&path)).transpose()?.unwrap_or_default(),
        },
    })
}

/// The format that a disk image has by its first bytes.
fn format_of(path: &Path) -> io::Result<Format> {
    let mut start = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(Format::of_content(&start))
}

fn read_cmdline(path: &Path) -> Result<String, QemuError> {
    let read = |source| QemuError::Read { path: path.to_owned(), source };
    let mut content = Vec::new();
    File::open(path).map_err(read)?.take(CMDLINE_LIMIT + 1).read_to_end(&mut content).map_err(read)?;
    if content.len() as u64 > CMDLINE_LIMIT {
        return Err(QemuError::NoCmdline(path.to_owned()));
    }
    let text = String::from_utf8(content).map_err(|_| QemuError::NoCmdline(path.to_owned()))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// QEMU changes its directory when it becomes a daemon, and takes `a:b` for a protocol: every path is absolute.
fn absolute(path: &Path) -> Result<PathBuf, QemuError> {
    std::path::absolute(path).map_err(|source| QemuError::Read { path: path.to_owned(), source })
}
