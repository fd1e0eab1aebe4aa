//! `lkb push aws`.

use std::path::PathBuf;
use std::time::Duration;

use crate::aws::{Account, Login};
use crate::cli::setting::{SettingError, setting};
use crate::cli::{Context, Outcome, SUCCESS};
use crate::push::aws::{self, push};

/// Make an image (AMI) in AWS of a raw disk image, and print its id
///
/// FILE goes through a bucket in S3, where it is deleted afterwards, and is imported by the role vmimport, which VM
/// Import/Export's documentation says how to make. Who asks is in the AWS_* variables, or in the profile that AWS_PROFILE
/// names in ~/.aws/credentials and ~/.aws/config; the region is AWS_REGION. On a failure no image is left.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How long the upload may take [env: LINUXKIT_UPLOAD_TIMEOUT; default: 600]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,

    /// The bucket that FILE goes through [env: AWS_BUCKET, CLOUDSDK_IMAGE_BUCKET]
    #[arg(long)]
    pub bucket: Option<String>,

    /// The image's name [env: CLOUDSDK_IMAGE_NAME; default: FILE's without its extension]
    #[arg(long, value_name = "NAME")]
    pub img_name: Option<String>,

    /// Machines have Elastic Network Adapters
    #[arg(long)]
    pub ena: bool,

    /// Machines have Intel's virtual functions: KIND is simple
    #[arg(long, value_name = "KIND")]
    pub sriov: Option<String>,

    /// Machines boot by EFI firmware
    #[arg(long)]
    pub uefi: bool,

    /// Machines have a TPM; with --uefi only
    #[arg(long)]
    pub tpm: bool,

    /// The machines' architecture
    #[arg(long, default_value = "x86_64", value_parser = ["x86_64", "arm64"])]
    pub arch: String,

    /// The disk image, of `lkb build --format aws`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let missing =
        SettingError::Missing { what: "the bucket", option: "--bucket BUCKET", variable: "AWS_BUCKET" };
    let bucket = setting(options.bucket.as_ref(), "AWS_BUCKET")?;
    let bucket = setting(bucket.as_ref(), "CLOUDSDK_IMAGE_BUCKET")?;
    let what = aws::Options {
        file: options.file.clone(),
        name: setting(options.img_name.as_ref(), "CLOUDSDK_IMAGE_NAME")?,
        bucket: bucket.ok_or(missing)?,
        timeout: Duration::from_secs(
            setting(options.timeout.as_ref(), "LINUXKIT_UPLOAD_TIMEOUT")?.unwrap_or(600),
        ),
        arch: options.arch.clone(),
        ena: options.ena,
        sriov: options.sriov.clone(),
        uefi: options.uefi,
        tpm: options.tpm,
    };
    let log_in = || Account::new(Login::from_environment()?);
    let id = push(&what, log_in, &|event| context.terminal.tell(event))?;
    context.terminal.print(id)?;
    SUCCESS
}
