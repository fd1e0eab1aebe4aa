//! `lkb push azure`.

use std::path::PathBuf;
use std::time::Duration;

use crate::azure::{Arm, Login};
use crate::cli::setting::variable;
use crate::cli::{Context, Outcome, SUCCESS};
use crate::push::azure::{self, Disk};

/// Upload a disk to Azure, make a managed image of it, and print that one's full name
///
/// An image of the same name is replaced. The disk stays in the storage account as linuxkitcontainer/linuxkitimage.vhd
/// until the next push; on a failure nothing is left there. Who asks is a service principal: AZURE_SUBSCRIPTION_ID,
/// AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The resource group that has the storage account, and gets the image
    #[arg(long, value_name = "NAME")]
    pub resource_group: String,

    /// The storage account that FILE is uploaded to
    #[arg(long, value_name = "NAME")]
    pub storage_account: String,

    /// The image's name [default: FILE's without its extension]
    #[arg(long, value_name = "NAME")]
    pub img_name: Option<String>,

    /// Machines boot it by EFI firmware (generation 2)
    #[arg(long)]
    pub uefi: bool,

    /// How long the image may take to be made
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u64,

    /// The disk, as `lkb build --format vhd` writes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let what = azure::Options {
        file: options.file.clone(),
        group: options.resource_group.clone(),
        account: options.storage_account.clone(),
        name: options.img_name.clone(),
        uefi: options.uefi,
        patience: Duration::from_secs(options.timeout),
    };
    let disk = Disk::open(&what)?;
    let arm = Arm::log_in(Login::new(&context.certificates, &variable)?)?;
    let image = disk.push(&arm, &|event| context.terminal.tell(event))?;
    context.terminal.print(image.id)?;
    SUCCESS
}
