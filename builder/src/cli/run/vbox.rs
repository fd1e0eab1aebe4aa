//! `lkb run vbox`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::{Context, Outcome, SUCCESS};
use crate::run::disk::DiskRequest;
use crate::run::vbox::{self, Network};

/// Run an image in VirtualBox on this machine
///
/// PATH is a CD image (.iso) or a disk image (.vmdk, .vhd, .vdi). The machine's serial console is on the terminal; when the
/// machine is off, or Ctrl-C ends it, VirtualBox forgets it, and its disks stay.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..))]
    pub mem: u32,

    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=255))]
    pub cpus: u32,

    /// A data disk (.vdi, .vmdk, .vhd), made if it is not there: [file=]PATH[,size=1G]; without a path, in the state
    /// directory. May be repeated
    #[arg(long, value_name = "DISK")]
    pub disk: Vec<DiskRequest>,

    /// Show the machine's screen in a window
    #[arg(long)]
    pub gui: bool,

    /// VirtualBox's own command line
    #[arg(long, value_name = "FILE", default_value = "VBoxManage")]
    pub vboxmanage: PathBuf,

    /// Leave the machine registered in VirtualBox when it is off
    #[arg(long)]
    pub keep: bool,

    /// The machine's name [default: PATH's without directory and extension]
    #[arg(long)]
    pub name: Option<String>,

    /// Where the machine keeps its state [default: PATH-state, without PATH's extension]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// PATH is a CD image, whatever its name
    #[arg(long)]
    pub iso: bool,

    /// Boot by EFI firmware, even an image whose name does not end in -efi
    #[arg(long)]
    pub uefi: bool,

    /// A network card: [type=]TYPE[,adapter=INTERFACE] with type null, nat, bridged, intnet, hostonly, generic or
    /// natnetwork. May be repeated [default: one with NAT]
    #[arg(long, value_name = "NETWORK")]
    pub networking: Vec<Network>,

    /// What to run
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

pub fn run(options: &Options, _: &Context) -> Outcome {
    let signal = vbox::run(&vbox::Options {
        path: options.path.clone(),
        iso: options.iso,
        uefi: options.uefi,
        name: options.name.clone(),
        state: options.state.clone(),
        memory: options.mem,
        cpus: options.cpus,
        disks: options.disk.clone(),
        networks: options.networking.clone(),
        gui: options.gui,
        keep: options.keep,
        program: options.vboxmanage.clone(),
    })?;
    match signal.and_then(|number| u8::try_from(128 + number).ok()) {
        Some(code) => Ok(ExitCode::from(code)),
        None => SUCCESS,
    }
}
