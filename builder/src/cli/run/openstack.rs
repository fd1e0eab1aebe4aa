//! `lkb run openstack`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::setting::user_data;
use crate::cli::{Context, Outcome, SUCCESS};
use crate::openstack::{Cloud, Login};
use crate::run::openstack;

/// Start a server in OpenStack from an image that is there, wait until it is active, and print its id
///
/// Who asks is found as by `lkb push openstack`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The flavour's name or id
    #[arg(long, default_value = "m1.tiny")]
    pub flavor: String,

    /// The server's name [default: IMAGE]
    #[arg(long, value_name = "NAME")]
    pub instancename: Option<String>,

    /// The network's id or name [default: the project's only one]
    #[arg(long)]
    pub network: Option<String>,

    /// Security groups, with commas between them
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "default")]
    pub sec_groups: Vec<String>,

    /// The name of the ssh key
    #[arg(long, value_name = "NAME")]
    pub keyname: Option<String>,

    /// User data: what the machine's metadata has for it
    #[arg(
        long,
        value_name = "TEXT",
        visible_alias = "data",
        allow_hyphen_values = true,
        conflicts_with = "data_file"
    )]
    pub user_data: Option<String>,

    /// A file with user data
    #[arg(long, value_name = "FILE")]
    pub data_file: Option<PathBuf>,

    /// Give the server its metadata on a disk, too
    #[arg(long)]
    pub config_drive: bool,

    /// How long the server may take to be active
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u64,

    /// The image's name or id
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let what = openstack::Options {
        image: options.image.clone(),
        name: options.instancename.clone().unwrap_or_else(|| options.image.clone()),
        flavor: options.flavor.clone(),
        network: options.network.clone(),
        security_groups: options.sec_groups.iter().filter(|name| !name.is_empty()).cloned().collect(),
        key: options.keyname.clone(),
        user_data: user_data(
            options.user_data.as_deref(),
            options.data_file.as_deref(),
            ("Nova", openstack::MAX_USER_DATA),
        )?,
        config_drive: options.config_drive,
        patience: Duration::from_secs(options.timeout),
    };
    let started = |id: &str| context.terminal.note(format_args!("server {id} is being built"));
    let server = openstack::run(&what, || Cloud::log_in(Login::from_environment()?), &started)?;
    for address in &server.addresses {
        context.terminal.note(format_args!("address: {address}"));
    }
    context.terminal.print(server.id)?;
    SUCCESS
}
