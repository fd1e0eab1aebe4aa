//! `lkb run scaleway`.

use crate::cli::setting::{not_on_the_command_line, setting};
use crate::cli::{Context, Outcome, SUCCESS};
use crate::run::scaleway;
use crate::scaleway::{Cloud, Login};

/// Start a server in Scaleway from an image that is there, wait until it runs, and print its id
///
/// Who asks is found as by `lkb push scaleway`. The server's console is in Scaleway's own.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The type of instance [env: SCW_RUN_TYPE; default: DEV1-S]
    #[arg(long, value_name = "TYPE")]
    pub instance_type: Option<String>,

    /// The server's name
    #[arg(long, value_name = "NAME", default_value = "linuxkit")]
    pub instance_name: String,

    /// Not needed: the secret key says who asks
    #[arg(long, hide = true)]
    pub access_key: Option<String>,

    /// Refused: everybody sees it who lists processes
    #[arg(long, hide = true, value_parser = not_on_the_command_line("SCW_SECRET_KEY"))]
    pub secret_key: Option<String>,

    /// The zone [env: SCW_DEFAULT_ZONE; default: par1, which is fr-par-1]
    #[arg(long)]
    pub zone: Option<String>,

    /// The organization, instead of a project [env: SCW_DEFAULT_ORGANIZATION_ID]
    #[arg(long, value_name = "ID")]
    pub organization_id: Option<String>,

    /// Wait until the server has turned itself off, and delete it and its volumes
    #[arg(long)]
    pub clean: bool,

    /// Nothing: the console is not attached
    #[arg(long, hide = true)]
    pub no_attach: bool,

    /// The image's name
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let instance_type = setting(options.instance_type.as_ref(), "SCW_RUN_TYPE")?;
    let what = scaleway::Options {
        image: options.image.clone(),
        name: options.instance_name.clone(),
        instance_type: instance_type.unwrap_or_else(|| "DEV1-S".into()),
        clean: options.clean,
    };
    let log_in = || Cloud::new(Login::new(options.zone.as_deref(), options.organization_id.as_deref())?);
    let running = |id: &str, addresses: &[String]| {
        context.terminal.note(format_args!("server {id} runs"));
        for address in addresses {
            context.terminal.note(format_args!("address: {address}"));
        }
    };
    let id = scaleway::run(&what, log_in, &running)?;
    context.terminal.print(id)?;
    SUCCESS
}
