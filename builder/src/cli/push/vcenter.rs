//! `lkb push vcenter`.

use std::path::PathBuf;

use crate::cli::setting::{SettingError, setting};
use crate::cli::{Context, Outcome, SUCCESS};
use crate::push::vcenter::{self, push};
use crate::vcenter::{Login, Session};

/// Upload a CD image to a datastore of vCenter (7.0 Update 2 or newer), and print what vCenter calls it
///
/// vCenter's certificate is verified: --cert-file names the one of its own authority. On a failure nothing is left there.
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

    /// A host that must be there [env: VCHOST]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// The folder in the datastore [default: FILE's name without .iso]
    #[arg(long, value_name = "NAME")]
    pub folder: Option<String>,

    /// The CD image: .iso
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let missing =
        SettingError::Missing { what: "the address of vCenter", option: "--url", variable: "VCURL" };
    let url: String = setting(options.url.as_ref(), "VCURL")?.ok_or(missing)?;
    let what = vcenter::Options {
        file: options.file.clone(),
        datacenter: setting(options.datacenter.as_ref(), "VCDATACENTER")?,
        datastore: setting(options.datastore.as_ref(), "VCDATASTORE")?,
        host: setting(options.hostname.as_ref(), "VCHOST")?,
        folder: options.folder.clone(),
    };
    let log_in = || Session::log_in(Login::new(&url, &context.certificates)?);
    let file = push(&what, log_in, &|event| context.terminal.tell(event))?;
    context.terminal.print(file)?;
    SUCCESS
}
