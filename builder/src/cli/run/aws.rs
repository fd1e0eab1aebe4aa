//! `lkb run aws`.

use std::io::Write;
use std::path::PathBuf;

use crate::aws::{Account, Login};
use crate::cli::setting::{setting, user_data};
use crate::cli::{Context, Outcome, SUCCESS};
use crate::run::aws;

/// Start an instance in AWS from an image that is there, wait until it has stopped, show its console and terminate it
///
/// Who asks is found as by `lkb push aws`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The type of machine [env: AWS_MACHINE; default: t2.micro]
    #[arg(long, value_name = "TYPE")]
    pub machine: Option<String>,

    /// The size of a second disk in GiB, which goes with the instance [env: AWS_DISK_SIZE; default: 0, which is none]
    #[arg(long, value_name = "GIB")]
    pub disk_size: Option<u32>,

    /// Its type [env: AWS_DISK_TYPE; default: gp2]
    #[arg(long, value_name = "TYPE")]
    pub disk_type: Option<String>,

    /// The zone in the region [env: AWS_ZONE; default: a]
    #[arg(long)]
    pub zone: Option<String>,

    /// The id of a security group [default: the network's own]
    #[arg(long, value_name = "ID")]
    pub security_group: Option<String>,

    /// User data: what the machine's metadata has for it, up to 16 KiB
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "data_file")]
    pub data: Option<String>,

    /// A file with user data
    #[arg(long, value_name = "FILE")]
    pub data_file: Option<PathBuf>,

    /// Leave the instance running, and print its id
    #[arg(long, visible_alias = "detached")]
    pub detach: bool,

    /// The image's name, one of the account's own, or its id
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let or = |option: &Option<String>, variable, usual: &str| {
        setting(option.as_ref(), variable).map(|found| found.unwrap_or_else(|| usual.to_owned()))
    };
    let what = aws::Options {
        image: options.image.clone(),
        machine: or(&options.machine, "AWS_MACHINE", "t2.micro")?,
        zone: or(&options.zone, "AWS_ZONE", "a")?,
        disk_size: setting(options.disk_size.as_ref(), "AWS_DISK_SIZE")?.unwrap_or(0),
        disk_type: or(&options.disk_type, "AWS_DISK_TYPE", "gp2")?,
        security_group: options.security_group.clone(),
        user_data: user_data(
            options.data.as_deref(),
            options.data_file.as_deref(),
            ("EC2", aws::MAX_USER_DATA),
        )?,
    };
    let started = |id: &str| context.terminal.note(format_args!("instance {id} is being started"));
    let (account, instance) = aws::start(&what, || Account::new(Login::from_environment()?), &started)?;
    for address in &instance.addresses {
        context.terminal.note(format_args!("address: {address}"));
    }
    if options.detach {
        context.terminal.print(instance.id)?;
        return SUCCESS;
    }
    context.terminal.note("AWS shows the console when the instance has stopped; waiting for that");
    let console = aws::finish(&account, &instance.id)?;
    std::io::stdout().write_all(&console)?;
    context.terminal.note(format_args!("instance {} is terminated", instance.id));
    SUCCESS
}
