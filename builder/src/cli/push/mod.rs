//! `lkb push`: one file a cloud.

mod aws;
mod azure;
mod gcp;
mod openstack;
mod scaleway;
mod vcenter;

use super::unavailable::{Anything, Unavailable};
use super::{Context, Outcome};

/// Upload an image to a cloud
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    cloud: Cloud,
}

#[derive(Debug, clap::Subcommand)]
enum Cloud {
    Aws(aws::Options),
    Azure(azure::Options),
    #[command(name = "gcp")]
    Google(gcp::Options),
    #[command(name = "openstack")]
    OpenStack(openstack::Options),
    Scaleway(scaleway::Options),
    #[command(name = "vcenter")]
    VCenter(vcenter::Options),
    #[command(name = "equinixmetal", hide = true)]
    EquinixMetal(Anything),
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    match &options.cloud {
        Cloud::Aws(options) => aws::run(options, context),
        Cloud::Azure(options) => azure::run(options, context),
        Cloud::Google(options) => gcp::run(options, context),
        Cloud::OpenStack(options) => openstack::run(options, context),
        Cloud::Scaleway(options) => scaleway::run(options, context),
        Cloud::VCenter(options) => vcenter::run(options, context),
        Cloud::EquinixMetal(_) => Unavailable::Closed.outcome(),
    }
}
