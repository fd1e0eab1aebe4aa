//! `lkb run vmware`.

use std::path::PathBuf;

use crate::cli::{Context, Outcome, SUCCESS};
use crate::run::disk::DiskRequest;
use crate::run::vmware;

/// Run an image in VMware Workstation on this machine
///
/// The machine is described in linuxkit.vmx in its state directory, and VMware shows it.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..))]
    pub mem: u32,

    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=255))]
    pub cpus: u32,

    /// A data disk (.vmdk), made if it is not there: [file=]PATH[,size=1G]; without a path, in the state directory. May be
    /// repeated
    #[arg(long, value_name = "DISK")]
    pub disk: Vec<DiskRequest>,

    /// Where the machine keeps its state [default: PATH-state]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// The boot disk, of `lkb build --format vmdk`, with or without .vmdk
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let vmx = vmware::run(&vmware::Options {
        path: options.path.clone(),
        state: options.state.clone(),
        memory: options.mem,
        cpus: options.cpus,
        disks: options.disk.clone(),
    })?;
    let vmx = vmx.display();
    context.terminal.note(format_args!("the machine runs\nto stop it: vmrun -T ws stop {vmx}"));
    SUCCESS
}
