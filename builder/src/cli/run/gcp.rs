//! `lkb run gcp`.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::setting::{setting, user_data, variable};
use crate::cli::{Context, Outcome, SUCCESS};
use crate::gcp::{Cloud, Login};
use crate::run::disk::DiskRequest;
use crate::run::gcp;

/// Start an instance in Google Cloud from an image that is there, show its serial port until it is off, and delete it
///
/// An instance of the same name is replaced. The serial port is read through Compute Engine's getSerialPortOutput, so
/// nothing can be typed: that is done by `gcloud compute connect-to-serial-port`, which is enabled. When this command
/// is interrupted, the instance stays. Who asks is found as by `lkb push gcp`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The instance's name [default: IMAGE]
    #[arg(long)]
    pub name: Option<String>,

    /// Where it runs [env: CLOUDSDK_COMPUTE_ZONE; default: europe-west1-d]
    #[arg(long)]
    pub zone: Option<String>,

    /// Its machine type [env: CLOUDSDK_COMPUTE_MACHINE; default: g1-small]
    #[arg(long, value_name = "TYPE")]
    pub machine: Option<String>,

    /// A service account's key, or a login's: a JSON file [env: CLOUDSDK_COMPUTE_KEYS]
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,

    /// The project [env: CLOUDSDK_CORE_PROJECT; default: that of the key]
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,

    /// A new disk, deleted with the instance: [file=]NAME[,size=1G]. May be repeated
    #[arg(long, value_name = "DISK")]
    pub disk: Vec<DiskRequest>,

    /// Leave the instance there when it is off
    #[arg(long)]
    pub skip_cleanup: bool,

    /// Let the instance run machines itself
    #[arg(long)]
    pub nested_virt: bool,

    /// Give the instance a TPM
    #[arg(long)]
    pub vtpm: bool,

    /// User data: what the machine's metadata has for it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "data_file")]
    pub data: Option<String>,

    /// A file with user data
    #[arg(long, value_name = "FILE")]
    pub data_file: Option<PathBuf>,

    /// How long each step but the run itself may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u64,

    /// The image's name
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let or = |option: &Option<String>, variable, usual: &str| {
        setting(option.as_ref(), variable).map(|found| found.unwrap_or_else(|| usual.to_owned()))
    };
    let what = gcp::Options {
        image: options.image.clone(),
        name: options.name.clone().unwrap_or_else(|| options.image.clone()),
        zone: or(&options.zone, "CLOUDSDK_COMPUTE_ZONE", "europe-west1-d")?,
        machine: or(&options.machine, "CLOUDSDK_COMPUTE_MACHINE", "g1-small")?,
        nested: options.nested_virt,
        vtpm: options.vtpm,
        user_data: user_data(
            options.data.as_deref(),
            options.data_file.as_deref(),
            ("Compute Engine", gcp::MAX_USER_DATA),
        )?,
        disks: options.disk.clone(),
        patience: Duration::from_secs(options.timeout),
    };
    gcp::check(&what)?;
    let keys = setting(options.keys.as_ref(), "CLOUDSDK_COMPUTE_KEYS")?;
    let login = Login::new(keys, options.project.clone(), &context.certificates, &variable)?;
    let cloud = Cloud::log_in(login)?;
    gcp::run(&what, &cloud, &mut io::stdout().lock(), &|text| context.terminal.note(text))?;
    if !options.skip_cleanup {
        gcp::delete(&cloud, &what)?;
        context.terminal.note(format_args!("instance {} is deleted", what.name));
    }
    SUCCESS
}
