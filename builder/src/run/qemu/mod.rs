//! Runs a machine in QEMU on this host.
//!
//! | file | duty |
//! |---|---|
//! | `arch.rs` | what is different between architectures |
//! | `boot.rs` | what `PATH` stands for: a disk, a CD, kernel and initrd |
//! | `firmware.rs` | EFI firmware, for images that need it |
//! | `accelerator.rs` | which accelerator, which processor |
//! | `usb.rs` | what is plugged into USB |
//! | `plan.rs` | all that is known when QEMU is started |
//! | `command_line/` | a plan → QEMU's arguments |
//! | `state.rs` | what a machine keeps on the host: MAC address, disks, metadata CD |
//! | `launch.rs` | becomes QEMU, or leaves it behind |
//! | `attend.rs` | runs QEMU, and stays with it |
//! | `virtiofsd.rs` | the processes that share directories with the machine |
//! | `expect.rs` | waits for what the console shows |
//! | `chart.rs` | draws the machine's boot |
//! | `stop.rs` | the power button |

mod accelerator;
mod arch;
mod attend;
mod boot;
mod chart;
mod command_line;
mod error;
mod expect;
mod firmware;
mod launch;
mod plan;
mod state;
mod stop;
mod usb;
mod virtiofsd;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use nix::net::if_::if_nametoindex;

pub use arch::Arch;
pub use attend::{Attended, Told};
pub use boot::Mode;
pub use command_line::command_line;
pub use error::QemuError;
pub use expect::{Expectation, NotShown};
pub use firmware::FirmwareError;
pub use launch::{Detached, Ready};
pub use plan::{Boot, Console, Drive, Firmware, Network, Peer, Plan, Share};
pub use state::StateError;
pub use stop::{How, StopError, stop};
pub use usb::{Device, DeviceError};
pub use virtiofsd::ShareError;

use super::disk::{DiskRequest, Format};
use super::networking::Networking;
use super::publish::Published;
use crate::bounded;
use boot::Candidate;
use state::State;

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
    /// QEMU's file; without it, the one of the architecture in `PATH`.
    pub program: Option<PathBuf>,
    /// What is plugged into USB; `None` when the machine has no USB.
    pub usb: Option<Vec<Device>>,
    /// Directories of the host that the machine can mount.
    pub shares: Vec<PathBuf>,
    /// The program that gives it these directories; without it, the distribution's.
    pub virtiofsd: Option<PathBuf>,
    /// What the console must show.
    pub expect: Option<Expectation>,
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

/// Finds and prepares all that the machine needs, without starting it.
///
/// # Errors
/// When something is missing, unreadable or in use; see [`QemuError`].
pub fn prepare(options: &Options) -> Result<Ready, QemuError> {
    let arch = Arch::named(&options.arch).ok_or_else(|| QemuError::Arch(options.arch.clone()))?;
    let candidate = boot::detect(&options.path, options.mode, &|path| path.is_file())?;
    let asked = options.uefi || options.firmware.is_some();
    let firmware = (asked || candidate.is_efi() || arch.boots_by_efi_alone(&candidate))
        .then(|| firmware::find(arch, options.firmware.as_deref(), &|path| path.is_file()))
        .transpose()?;
    let boot = load(candidate, options.mode == Some(Mode::Squashfs))?;
    let program = qemu(arch, options.program.as_deref())?;
    check_network(options)?;
    let usb = options.usb.as_deref().map(|devices| plug_in(arch, devices)).transpose()?;
    let virtiofsd = match options.shares.is_empty() {
        true => None,
        false => Some(virtiofsd::program(options.virtiofsd.as_deref())?),
    };

    let state = options.state.clone().unwrap_or_else(|| boot::default_state(&options.path));
    let state = State::open(&state)?;
    let accelerators = accelerators(arch, options.accelerator.clone());
    let firmware = firmware
        .map(|found| -> Result<Firmware, QemuError> {
            let variables = found.variables.as_deref().map(|template| state.efi_variables(template));
            Ok(Firmware { code: absolute(&found.code)?, variables: variables.transpose()? })
        })
        .transpose()?;
    let plan = Plan {
        arch,
        boot,
        firmware,
        memory: options.memory,
        cpus: options.cpus,
        cpu_model: accelerator::cpu_model(&accelerators),
        accelerators,
        disks: state.disks(&options.disks)?,
        metadata_cd: options.metadata.as_ref().map(|metadata| state.metadata_cd(metadata)).transpose()?,
        network: network(options, &state)?,
        usb,
        shares: virtiofsd::shares(&options.shares, &state)?,
        console: console(options, &state)?,
        qmp: state
            .control_socket()
            .into_iter()
            .chain(options.qmp.as_deref().map(absolute).transpose()?)
            .collect(),
        pid_file: state.pid_file(),
        gui: options.gui,
        detach: options.detach,
    };
    Ok(Ready { program, plan, virtiofsd, expect: options.expect.clone() })
}

/// The QEMU to run: the one that was asked for, or that of the architecture.
fn qemu(arch: Arch, asked: Option<&Path>) -> Result<PathBuf, QemuError> {
    match asked {
        Some(path) if launch::is_program(path) => absolute(path),
        Some(path) => Err(QemuError::NotExecutable(path.to_owned())),
        None => {
            let (name, package) = arch.program();
            launch::program(name, package)
        }
    }
}

fn accelerators(arch: Arch, asked: Option<String>) -> Vec<String> {
    let opens = |path: &Path| File::options().read(true).write(true).open(path).is_ok();
    let kvm_usable = arch.kvm_usable(&|path| path.exists(), &opens);
    let asked = asked.or_else(accelerator::from_environment);
    accelerator::choose(asked.as_deref(), kvm_usable, arch.is_hosts())
}

fn check_network(options: &Options) -> Result<(), QemuError> {
    if options.networking != Networking::User && !options.publish.is_empty() {
        return Err(QemuError::PublishElsewhere(options.networking.clone()));
    }
    if let Networking::Bridge(name) = &options.networking
        && if_nametoindex(name.as_str()).is_err()
    {
        return Err(QemuError::NoBridge(name.clone()));
    }
    Ok(options.publish.iter().try_for_each(|published| published.check())?)
}

fn network(options: &Options, state: &State) -> Result<Network, StateError> {
    let peer = match &options.networking {
        Networking::None => return Ok(Network::None),
        Networking::User => Peer::User(options.publish.clone()),
        Networking::Tap(interface) => Peer::Tap(interface.clone()),
        Networking::Bridge(bridge) => Peer::Bridge(bridge.clone()),
    };
    Ok(Network::Card { mac: state.mac()?, peer })
}

/// The devices with what must be known of their files.
fn plug_in(arch: Arch, devices: &[Device]) -> Result<Vec<Device>, QemuError> {
    if arch.bus() == arch::Bus::Ccw {
        return Err(QemuError::NoUsb(arch));
    }
    let plug_in = |device: &Device| match device {
        Device::Stick { file, format, properties } => {
            let told = format_of(file).map_err(|source| QemuError::Read { path: file.clone(), source })?;
            let format = format.or_else(|| Format::of_name(file)).unwrap_or(told);
            Ok(Device::Stick { file: absolute(file)?, format: Some(format), properties: properties.clone() })
        }
        Device::Other(_) => Ok(device.clone()),
    };
    devices.iter().map(plug_in).collect()
}

fn console(options: &Options, state: &State) -> Result<Console, QemuError> {
    let file = options.console_file.as_deref().map(absolute).transpose()?;
    Ok(match options.detach {
        true => Console::File(file.unwrap_or_else(|| state.console_log())),
        // What is waited for is looked for in what passes through us; no keys go to the machine then.
        false => {
            let interactive = options.expect.is_none() && io::stdin().is_terminal();
            Console::Terminal { interactive, copy: file }
        }
    })
}

/// Reads what must be known of the files to boot from; `on_disk` when the root must be on a disk.
fn load(candidate: Candidate, on_disk: bool) -> Result<Boot, QemuError> {
    Ok(match candidate {
        Candidate::Disk(path) => {
            let told = format_of(&path).map_err(|source| QemuError::Read { path: path.clone(), source })?;
            // A fixed VHD says only at its end what it is.
            let named = Format::of_name(&path)
                .filter(|named| matches!(named, Format::Vmdk | Format::Vhd | Format::Vhdx));
            let format = named.unwrap_or(told);
            Boot::Disk(Drive { path: absolute(&path)?, format })
        }
        Candidate::Iso(path) => Boot::Iso(absolute(&path)?),
        Candidate::Program(path) => Boot::Program(absolute(&path)?),
        Candidate::Kernel { kernel, initrd, cmdline } => Boot::Kernel {
            kernel: absolute(&kernel)?,
            initrd: Some(absolute(&initrd)?),
            cmdline: cmdline.map(|path| read_cmdline(&path)).transpose()?.unwrap_or_default(),
            root: None,
        },
        Candidate::Root { kernel, root, initrd, cmdline } => {
            let cmdline = cmdline.map(|path| read_cmdline(&path)).transpose()?.unwrap_or_default();
            let root = Some(root).filter(|_| on_disk || wants_root(&cmdline, initrd.is_some()));
            Boot::Kernel {
                kernel: absolute(&kernel)?,
                initrd: initrd.as_deref().map(absolute).transpose()?,
                cmdline: if root.is_some() { with_root(cmdline) } else { cmdline },
                root: root.as_deref().map(absolute).transpose()?,
            }
        }
    })
}

/// Whether a machine has its root on a disk. One with an initrd says so in its command line: without, the initrd is
/// all of it, and a root filesystem beside it is an older build's.
fn wants_root(cmdline: &str, has_initrd: bool) -> bool {
    !has_initrd || names_root(cmdline)
}

fn names_root(cmdline: &str) -> bool {
    cmdline.split_ascii_whitespace().any(|word| word.starts_with("root="))
}

/// A command line that says where the root is: on the first disk, unless it says something else.
fn with_root(cmdline: String) -> String {
    match names_root(&cmdline) {
        true => cmdline,
        false => format!("{cmdline} root=/dev/vda").trim_start().to_owned(),
    }
}

/// The format that a disk image has by its first bytes.
fn format_of(path: &Path) -> io::Result<Format> {
    let mut start = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(Format::of_content(&start))
}

fn read_cmdline(path: &Path) -> Result<String, QemuError> {
    let read = |source| QemuError::Read { path: path.to_owned(), source };
    let content = bounded::read(path, CMDLINE_LIMIT).map_err(read)?;
    let text = content.and_then(|content| String::from_utf8(content).ok());
    let text = text.ok_or_else(|| QemuError::NoCmdline(path.to_owned()))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// QEMU changes its directory when it becomes a daemon, and takes `a:b` for a protocol: every path is absolute.
fn absolute(path: &Path) -> Result<PathBuf, QemuError> {
    std::path::absolute(path).map_err(|source| QemuError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_on_the_first_disk_is_named_unless_another_is() {
        for (cmdline, expected) in [
            ("", "root=/dev/vda"),
            ("console=ttyS0", "console=ttyS0 root=/dev/vda"),
            ("console=ttyS0 root=LABEL=x quiet", "console=ttyS0 root=LABEL=x quiet"),
            ("chroot=y", "chroot=y root=/dev/vda"),
        ] {
            assert_eq!(with_root(cmdline.to_owned()), expected);
        }
    }

    #[test]
    fn a_root_beside_an_initrd_is_used_when_the_command_line_names_one() {
        assert!(wants_root("console=ttyS0 root=/dev/vda", true));
        assert!(!wants_root("console=ttyS0 myroot=x", true), "the root is an older build's");
        assert!(wants_root("console=ttyS0", false), "LinuxKit's builds name none");
    }

    #[test]
    fn a_stick_is_what_its_file_says_and_ibm_z_has_no_usb() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stick.img");
        std::fs::write(&file, b"QFI\xFB").unwrap();
        let stick =
            |file: &Path, format| Device::Stick { file: file.into(), format, properties: String::new() };
        let plugged = plug_in(Arch::X86_64, &[stick(&file, None), Device::Other("usb-kbd".into())]).unwrap();
        assert_eq!(plugged, [stick(&file, Some(Format::Qcow2)), Device::Other("usb-kbd".into())]);
        let missing = plug_in(Arch::X86_64, &[stick(Path::new("/nowhere"), None)]).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read /nowhere");
        assert!(plug_in(Arch::S390x, &[]).unwrap_err().to_string().starts_with("s390x machines have no USB"));
    }
}
