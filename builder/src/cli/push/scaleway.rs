//! `lkb push scaleway`.

use std::path::PathBuf;

use crate::cli::setting::{not_on_the_command_line, setting};
use crate::cli::{Context, Outcome, SUCCESS};
use crate::push::scaleway::{self, push};
use crate::scaleway::{Cloud, Login};

/// Make an image in Scaleway of a CD or disk image, and print its id
///
/// A server with a second volume is made, FILE is written to that volume over ssh, and read back; a snapshot of it becomes
/// the image, which replaces others of its name. Who asks is in SCW_SECRET_KEY and SCW_DEFAULT_PROJECT_ID, or in
/// Scaleway's own config.yaml. On a failure nothing is left there.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The image's name [env: SCW_IMAGE_NAME; default: FILE's without .iso]
    #[arg(long, value_name = "NAME")]
    pub img_name: Option<String>,

    /// Not needed: the secret key says who asks
    #[arg(long, hide = true)]
    pub access_key: Option<String>,

    /// Refused: everybody sees it who lists processes
    #[arg(long, hide = true, value_parser = not_on_the_command_line("SCW_SECRET_KEY"))]
    pub secret_key: Option<String>,

    /// An ssh key that the project knows [env: SCW_SSH_KEY_FILE; default: ~/.ssh/id_rsa if it is there, else ssh's own]
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,

    /// A server that runs and has a second volume; it is deleted when the image is there, unless --no-clean is given
    /// [env: SCW_INSTANCE_ID; default: a new one]
    #[arg(long, value_name = "ID")]
    pub instance_id: Option<String>,

    /// Where the server has its second volume [env: SCW_DEVICE_NAME; default: /dev/vdb]
    #[arg(long, value_name = "DEVICE")]
    pub device_name: Option<String>,

    /// The size of that volume in GB [env: SCW_VOLUME_SIZE; default: FILE's, rounded up]
    #[arg(long, value_name = "GB")]
    pub volume_size: Option<u64>,

    /// The zone [env: SCW_DEFAULT_ZONE; default: par1, which is fr-par-1]
    #[arg(long)]
    pub zone: Option<String>,

    /// The organization, instead of a project [env: SCW_DEFAULT_ORGANIZATION_ID]
    #[arg(long, value_name = "ID")]
    pub organization_id: Option<String>,

    /// Leave the server and its volumes there
    #[arg(long)]
    pub no_clean: bool,

    /// The image, of `lkb build --format iso-efi` or another one that boots by EFI
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let home = std::env::home_dir().unwrap_or_default();
    let usual_key = Some(home.join(".ssh/id_rsa")).filter(|key| key.is_file());
    let device = setting(options.device_name.as_ref(), "SCW_DEVICE_NAME")?;
    let what = scaleway::Options {
        file: options.file.clone(),
        name: setting(options.img_name.as_ref(), "SCW_IMAGE_NAME")?,
        ssh_key: setting(options.ssh_key.as_ref(), "SCW_SSH_KEY_FILE")?.or(usual_key),
        instance: setting(options.instance_id.as_ref(), "SCW_INSTANCE_ID")?,
        device: device.unwrap_or_else(|| "/dev/vdb".into()),
        volume_size: setting(options.volume_size.as_ref(), "SCW_VOLUME_SIZE")?.filter(|size| *size > 0),
        keep: options.no_clean,
        directory: home.join(".lkb"),
    };
    let log_in = || Cloud::new(Login::new(options.zone.as_deref(), options.organization_id.as_deref())?);
    let id = push(&what, log_in, &|event| context.terminal.tell(event))?;
    context.terminal.print(id)?;
    SUCCESS
}
