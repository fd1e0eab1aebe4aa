//! `lkb push`: one file a cloud.

mod openstack;

use super::{Context, Outcome};

/// Upload an image to a cloud
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    cloud: Cloud,
}

#[derive(Debug, clap::Subcommand)]
enum Cloud {
    #[command(name = "openstack")]
    OpenStack(openstack::Options),
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    match &options.cloud {
        Cloud::OpenStack(options) => openstack::run(options, context),
    }
}
