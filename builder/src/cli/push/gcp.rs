//! `lkb push gcp`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::setting::{SettingError, says_yes, setting, variable};
use crate::cli::{Context, Outcome, SUCCESS};
use crate::gcp::{Cloud, Login};
use crate::push::gcp::{self, push};

/// Upload an image to Google Cloud, make a Compute Engine image of it, and print that one's name
///
/// An image of the same name is replaced. FILE stays in the bucket as NAME.img.tar.gz; on a failure nothing is left
/// there. Who asks is said by --keys, GOOGLE_APPLICATION_CREDENTIALS or what `gcloud auth application-default login`
/// has written: the key of a service account, or a login.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A service account's key, or a login's: a JSON file [env: CLOUDSDK_COMPUTE_KEYS]
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,

    /// The project [env: CLOUDSDK_CORE_PROJECT; default: that of the key]
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,

    /// The bucket that FILE is uploaded to [env: CLOUDSDK_IMAGE_BUCKET]
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,

    /// Let everybody read FILE in the bucket [env: CLOUDSDK_IMAGE_PUBLIC]
    #[arg(long)]
    pub public: bool,

    /// The family whose newest image it becomes [env: CLOUDSDK_IMAGE_FAMILY]
    #[arg(long, value_name = "NAME")]
    pub family: Option<String>,

    /// The image's name [env: CLOUDSDK_IMAGE_NAME; default: FILE's without .img.tar.gz]
    #[arg(long, value_name = "NAME")]
    pub img_name: Option<String>,

    /// Let machines run machines themselves
    #[arg(long)]
    pub nested_virt: bool,

    /// Machines boot it by EFI firmware; without that, they have no TPM
    #[arg(long)]
    pub uefi_compatible: bool,

    /// How long the image may take to be made
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u64,

    /// The image, as `lkb build --format gcp` writes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let missing = SettingError::Missing {
        what: "the bucket",
        option: "--bucket NAME",
        variable: "CLOUDSDK_IMAGE_BUCKET",
    };
    let what = gcp::Options {
        file: options.file.clone(),
        bucket: setting(options.bucket.as_ref(), "CLOUDSDK_IMAGE_BUCKET")?.ok_or(missing)?,
        name: setting(options.img_name.as_ref(), "CLOUDSDK_IMAGE_NAME")?,
        family: setting(options.family.as_ref(), "CLOUDSDK_IMAGE_FAMILY")?,
        public: options.public || says_yes("CLOUDSDK_IMAGE_PUBLIC"),
        nested: options.nested_virt,
        uefi: options.uefi_compatible,
        patience: Duration::from_secs(options.timeout),
    };
    let keys = setting(options.keys.as_ref(), "CLOUDSDK_COMPUTE_KEYS")?;
    let log_in =
        || Cloud::log_in(Login::new(keys, options.project.clone(), &context.certificates, &variable)?);
    let name = push(&what, log_in, &|event| context.terminal.tell(event))?;
    context.terminal.print(name)?;
    SUCCESS
}
