//! `lkb push openstack`.

use std::path::PathBuf;

use crate::cli::{Context, Outcome, SUCCESS};
use crate::openstack::{Cloud, Login};
use crate::push::openstack::{self, push};

/// Upload a disk image to OpenStack, and print the id of the image there
///
/// Who asks is in the OS_* variables of an openrc file, or in clouds.yaml, with OS_CLOUD: a password, an application
/// credential or a token. What the cloud has afterwards is compared with FILE; on a failure nothing is left there.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The image's name [default: FILE's without its extension]
    #[arg(long, value_name = "NAME")]
    pub img_name: Option<String>,

    /// Machines boot it by EFI firmware, even if FILE does not end in -efi.img or -efi.qcow2
    #[arg(long)]
    pub uefi: bool,

    /// A property of the image, such as hw_disk_bus=virtio. May be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = property)]
    pub property: Vec<(String, String)>,

    /// The disk image: .qcow2, .raw, .img, .iso, .vmdk, .vhd, .vhdx or .ami
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

fn property(text: &str) -> Result<(String, String), String> {
    let found = text.split_once('=').filter(|(key, _)| !key.is_empty());
    found
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "a property is KEY=VALUE".into())
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let what = openstack::Options {
        file: options.file.clone(),
        name: options.img_name.clone(),
        uefi: options.uefi,
        properties: options.property.iter().cloned().collect(),
    };
    let log_in = || Cloud::log_in(Login::from_environment()?);
    let id = push(&what, log_in, &|event| context.terminal.tell(event))?;
    context.terminal.print(id)?;
    SUCCESS
}
