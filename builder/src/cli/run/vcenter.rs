//! `lkb run vcenter`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::setting::{SettingError, setting};
use crate::cli::{Context, Outcome, SUCCESS};
use crate::run::vcenter;
use crate::size::Size;
use crate::vcenter::{Login, Session};

/// Make a machine in vCenter (7.0 Update 2 or newer) with a CD image that `lkb push vcenter` has put there
///
/// It prints the machine's address if it waits for that, else vCenter's own name of the machine.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// https://USER:PASSWORD@HOST/sdk; others on this machine see it here, so set VCURL instead [env: VCURL]
    #[arg(long)]
    pub url: Option<String>,

    /// The datacenter [env: VCDATACENTER; default: the only one]
    #[arg(long, value_name = "NAME")]
    pub datacenter: Option<String>,

    /// The datastore [env: VCDATASTORE; default: the only one]
    #[arg(long, value_name = "NAME")]
    pub datastore: Option<String>,

    /// The machine's network [env: VCNETWORK; default: none]
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,

    /// The host [env: VCHOST; default: the first that is connected]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// The machine's name, and the folder of its CD image [default: PATH's name without .iso]
    #[arg(long, value_name = "NAME")]
    pub vmfolder: Option<String>,

    /// The same as PATH, which counts more
    #[arg(long = "path", value_name = "PATH", hide = true)]
    pub other_path: Option<PathBuf>,

    /// Give it a disk of this size: 512M or 2G
    #[arg(long = "persistentSize", alias = "persistent-size", value_name = "SIZE")]
    pub persistent_size: Option<Size>,

    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=255))]
    pub cpus: u32,

    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..))]
    pub mem: u32,

    /// Turn it on
    #[arg(long = "powerOn", alias = "power-on")]
    pub power_on: bool,

    /// Wait until open-vm-tools in it say its address
    #[arg(long = "waitForIP", alias = "wait-for-ip", requires = "power_on")]
    pub wait_for_ip: bool,

    /// How long --waitForIP waits
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u64,

    /// The CD image; its name alone counts
    #[arg(value_name = "PATH", required_unless_present = "other_path")]
    pub path: Option<PathBuf>,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let missing =
        SettingError::Missing { what: "the address of vCenter", option: "--url", variable: "VCURL" };
    let url: String = setting(options.url.as_ref(), "VCURL")?.ok_or(missing)?;
    let what = vcenter::Options {
        image: options.path.clone().or_else(|| options.other_path.clone()).unwrap_or_default(),
        datacenter: setting(options.datacenter.as_ref(), "VCDATACENTER")?,
        datastore: setting(options.datastore.as_ref(), "VCDATASTORE")?,
        network: setting(options.network.as_ref(), "VCNETWORK")?,
        host: setting(options.hostname.as_ref(), "VCHOST")?,
        name: options.vmfolder.clone(),
        disk: options.persistent_size,
        cpus: options.cpus,
        memory: options.mem,
        power: options.power_on,
        address: options.wait_for_ip,
        patience: Duration::from_secs(options.timeout),
    };
    let machine = vcenter::run(&what, || Session::log_in(Login::new(&url, &context.certificates)?))?;
    context.terminal.print(machine.address.unwrap_or(machine.id))?;
    SUCCESS
}
