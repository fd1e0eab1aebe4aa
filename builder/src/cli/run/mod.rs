//! `lkb run`: one file a back-end.

mod aws;
mod openstack;
mod qemu;

use super::{Context, Outcome};

/// Run an image
///
/// The back-end may be left out: `lkb run PATH` is `lkb run qemu PATH`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    backend: Backend,
}

#[derive(Debug, clap::Subcommand)]
enum Backend {
    Qemu(Box<qemu::Options>),
    Aws(Box<aws::Options>),
    #[command(name = "openstack")]
    OpenStack(Box<openstack::Options>),
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    match &options.backend {
        Backend::Qemu(options) => qemu::run(options, context),
        Backend::Aws(options) => aws::run(options, context),
        Backend::OpenStack(options) => openstack::run(options, context),
    }
}
