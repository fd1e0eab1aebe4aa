//! `lkb run`: one file a back-end.

mod aws;
mod azure;
mod gcp;
mod openstack;
mod qemu;
mod scaleway;
mod vbox;
mod vcenter;
mod vmware;

use super::unavailable::{Anything, Unavailable};
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
    Azure(Box<azure::Options>),
    #[command(name = "gcp")]
    Google(Box<gcp::Options>),
    #[command(name = "openstack")]
    OpenStack(Box<openstack::Options>),
    Scaleway(Box<scaleway::Options>),
    Vbox(Box<vbox::Options>),
    #[command(name = "vcenter")]
    VCenter(Box<vcenter::Options>),
    #[command(name = "vmware")]
    VMware(Box<vmware::Options>),
    #[command(name = "equinixmetal", hide = true)]
    EquinixMetal(Anything),
    #[command(name = "hyperkit", hide = true)]
    HyperKit(Anything),
    #[command(name = "hyperv", hide = true)]
    HyperV(Anything),
    #[command(hide = true)]
    Virtualization(Anything),
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    match &options.backend {
        Backend::Qemu(options) => qemu::run(options, context),
        Backend::Aws(options) => aws::run(options, context),
        Backend::Azure(options) => azure::run(options, context),
        Backend::Google(options) => gcp::run(options, context),
        Backend::OpenStack(options) => openstack::run(options, context),
        Backend::Scaleway(options) => scaleway::run(options, context),
        Backend::Vbox(options) => vbox::run(options, context),
        Backend::VCenter(options) => vcenter::run(options, context),
        Backend::VMware(options) => vmware::run(options, context),
        Backend::EquinixMetal(_) => Unavailable::Closed.outcome(),
        Backend::HyperKit(_) => Unavailable::MacOs("hyperkit").outcome(),
        Backend::HyperV(_) => Unavailable::Windows.outcome(),
        Backend::Virtualization(_) => Unavailable::MacOs("virtualization").outcome(),
    }
}
