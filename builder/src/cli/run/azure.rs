//! `lkb run azure`.

use std::path::PathBuf;
use std::time::Duration;

use crate::azure::{Arm, Login};
use crate::cli::setting::{user_data, variable};
use crate::cli::{Context, Outcome, SUCCESS};
use crate::push::azure::{self as push, Disk};
use crate::run::azure;

/// Upload a disk to Azure, start a machine from it with a network of its own, and print its name
///
/// Resource group and storage account are made if they are not there. Everything stays there and costs until it is
/// deleted. Port 22 alone is open. Without Azure's agent in it, Azure reports after a while that the machine's
/// provisioning timed out; it runs all the same. Who asks is found as by `lkb push azure`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The resource group
    #[arg(long = "resourceGroupName", alias = "resource-group", value_name = "NAME")]
    pub resource_group: String,

    /// Where resource group and storage account are made
    #[arg(long, default_value = "westus")]
    pub location: String,

    /// The storage account, whose name is one of all of Azure's
    #[arg(long = "accountName", alias = "storage-account", value_name = "NAME", default_value = "linuxkit")]
    pub account: String,

    /// The machine's size
    #[arg(long, value_name = "SIZE", default_value = "Standard_DS1")]
    pub machine: String,

    /// The image's name [default: PATH's file name without its extension]
    #[arg(long, value_name = "NAME")]
    pub img_name: Option<String>,

    /// Boot it by EFI firmware (generation 2)
    #[arg(long)]
    pub uefi: bool,

    /// User data: what the machine's metadata has for it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "data_file")]
    pub data: Option<String>,

    /// A file with user data
    #[arg(long, value_name = "FILE")]
    pub data_file: Option<PathBuf>,

    /// How long each step may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u64,

    /// The disk, as `lkb build --format vhd` writes it
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let what = azure::Options {
        disk: push::Options {
            file: options.path.clone(),
            group: options.resource_group.clone(),
            account: options.account.clone(),
            name: options.img_name.clone(),
            uefi: options.uefi,
            patience: Duration::from_secs(options.timeout),
        },
        location: options.location.clone(),
        machine: options.machine.clone(),
        user_data: user_data(
            options.data.as_deref(),
            options.data_file.as_deref(),
            ("Azure", azure::MAX_USER_DATA),
        )?,
    };
    azure::check(&what)?;
    let disk = Disk::open(&what.disk)?;
    let arm = Arm::log_in(Login::new(&context.certificates, &variable)?)?;
    let machine = azure::run(&what, &arm, &disk, &|event| context.terminal.tell(event))?;
    if let Some(address) = &machine.address {
        context.terminal.note(format_args!("if it has sshd: ssh root@{address}"));
    }
    context.terminal.print(machine.name)?;
    SUCCESS
}
