//! An image in EC2 (AMI): a file in S3, imported as a snapshot, registered.
//!
//! | file | duty |
//! |---|---|
//! | `import.rs` | of the object, the snapshot |

mod import;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::aws::{Account, AwsError, Content, Object};
use crate::event::{Event, Work};

/// Most bytes that S3 takes in one request (S3 User Guide, "Uploading objects").
const MAX: u64 = 5 << 30;
/// How long the import of a snapshot may take.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
/// Bytes between two reports of progress.
const REPORT: u64 = 1 << 20;

/// What is made of which file.
#[derive(Debug, Clone)]
pub struct Options {
    /// The disk image, raw.
    pub file: PathBuf,
    /// The image's name; the file's without its extension, if there is none.
    pub name: Option<String>,
    /// The bucket that the file goes through.
    pub bucket: String,
    /// How long the upload may take.
    pub timeout: Duration,
    /// `x86_64` or `arm64`, as EC2 calls it.
    pub arch: String,
    /// Machines have Elastic Network Adapters.
    pub ena: bool,
    /// `simple`: machines have Intel's virtual functions.
    pub sriov: Option<String>,
    /// Machines boot by EFI firmware.
    pub uefi: bool,
    /// Machines have a TPM.
    pub tpm: bool,
}

/// Why there is no image.
#[derive(Debug, Error)]
pub enum PushError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// S3 would refuse it.
    #[error("cannot push {}: it has {len} bytes, and S3 takes 1 to {MAX} at once", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its length.
        len: u64,
    },
    /// EC2 would refuse it, after the upload.
    #[error(
        "{0:?} cannot be the name of an image: EC2 takes 3 to 128 letters, digits, spaces and ()[]./-'@_; choose one \
         with --img-name"
    )]
    Name(String),
    /// Only EFI firmware knows of a TPM.
    #[error("machines have a TPM only with EFI firmware: give --uefi with --tpm")]
    Tpm,
    /// AWS does not do it.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The snapshot was not made.
    #[error("AWS has not imported the file as a snapshot: task {task} is {status}{}{message}", if message.is_empty() { "" } else { ": " })]
    Import {
        /// The import task.
        task: String,
        /// Its status.
        status: String,
        /// What EC2 says about it.
        message: String,
    },
    /// It takes too long.
    #[error("import task {task} is not completed after {} s", PATIENCE.as_secs())]
    Late {
        /// The import task.
        task: String,
    },
    /// What was begun is still there.
    #[error("{failure}; {what} is still there: {why}")]
    Left {
        /// What is left.
        what: String,
        /// Why it is of no use.
        failure: Box<PushError>,
        /// Why it is still there.
        why: Box<AwsError>,
    },
}

/// Makes an image of a file, and returns its id. The object in S3 is deleted in any case, and when something fails, the
/// snapshot too.
///
/// # Errors
/// When the file is no image, or AWS does not do its part.
pub fn push(
    options: &Options,
    log_in: impl FnOnce() -> Result<Account, AwsError>,
    tell: &dyn Fn(Event<'_>),
) -> Result<String, PushError> {
    let path = &options.file;
    let name = name(options)?;
    let read = |source| PushError::Read { path: path.clone(), source };
    let mut file = File::open(path).map_err(read)?;
    let len = file.metadata().map_err(read)?.len();
    if !(1..=MAX).contains(&len) {
        return Err(PushError::Size { path: path.clone(), len });
    }
    let account = log_in()?;
    let sha256 = digest(&mut file).map_err(read)?;
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    // No object of somebody else's is overwritten, and then deleted.
    let key = format!("{name}-{}.{extension}", &sha256[..16]);
    let object = Object { bucket: &options.bucket, key: &key };

    let work = Work::Upload;
    tell(Event::Started { work, name: &name });
    let told = Cell::new(0);
    let sent = |bytes: u64| {
        if bytes < told.get() || bytes >= told.get() + REPORT || bytes == len {
            told.set(bytes);
            tell(Event::Advanced { work, name: &name, bytes, total: len });
        }
    };
    let content = Content { file: &file, len, sha256: &sha256, within: options.timeout, sent: &sent };
    let made = match account.put(&object, &content) {
        // Nobody has taken anything.
        Err(refused @ (AwsError::Refused { .. } | AwsError::Bucket(_))) => return Err(refused.into()),
        Err(trouble) => Err(trouble.into()),
        Ok(()) => {
            tell(Event::Finished { work, name: &name, bytes: Some(len), digest: None });
            make(&account, options, &name, &object)
        }
    };
    match (made, account.delete(&object)) {
        (Ok(image), Ok(())) => Ok(image),
        (Ok(image), Err(why)) => {
            tell(Event::Note(&format!("{object} is not needed any more, and still there: {why}")));
            Ok(image)
        }
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(why)) => Err(left(object.to_string(), failure, why)),
    }
}

fn left(what: String, failure: PushError, why: AwsError) -> PushError {
    PushError::Left { what, failure: Box::new(failure), why: Box::new(why) }
}

/// From the object to the image.
fn make(account: &Account, options: &Options, name: &str, object: &Object<'_>) -> Result<String, PushError> {
    let snapshot = import::import(account, name, object)?;
    let fields = registration(options, name, &snapshot);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let action = format!("register image {name}");
    let registered = account.ec2("RegisterImage", &fields, false, &action).and_then(|answer| {
        let id = answer.text("imageId").map(str::to_owned);
        id.ok_or(AwsError::Answer { action, member: "imageId" })
    });
    registered.map_err(|failure| {
        let action = format!("delete snapshot {snapshot}");
        match account.ec2("DeleteSnapshot", &[("SnapshotId", &snapshot)], true, &action) {
            Ok(_) => failure.into(),
            Err(why) => left(format!("snapshot {snapshot}"), failure.into(), why),
        }
    })
}

/// What EC2 is told of an image.
fn registration(options: &Options, name: &str, snapshot: &str) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("Name", name.to_owned()),
        ("Description", format!("{name} image")),
        ("Architecture", options.arch.clone()),
        ("RootDeviceName", "/dev/sda1".into()),
        ("VirtualizationType", "hvm".into()),
        ("EnaSupport", options.ena.to_string()),
        ("BlockDeviceMapping.1.DeviceName", "/dev/sda1".into()),
        ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true".into()),
        ("BlockDeviceMapping.1.Ebs.SnapshotId", snapshot.to_owned()),
        ("BlockDeviceMapping.1.Ebs.VolumeType", "standard".into()),
    ];
    fields.extend(options.sriov.clone().map(|sriov| ("SriovNetSupport", sriov)));
    // Machines with ARM processors have no other firmware.
    if options.uefi || options.arch == "arm64" {
        fields.push(("BootMode", "uefi".into()));
    }
    if options.tpm {
        fields.push(("TpmSupport", "v2.0".into()));
    }
    fields
}

fn name(options: &Options) -> Result<String, PushError> {
    if options.tpm && !options.uefi {
        return Err(PushError::Tpm);
    }
    let stem = options.file.file_stem().unwrap_or_default().to_string_lossy();
    let name = options.name.as_deref().unwrap_or(&stem);
    let fits = |c: char| c.is_ascii_alphanumeric() || " ()[]./-'@_".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(fits) {
        return Err(PushError::Name(name.to_owned()));
    }
    Ok(name.to_owned())
}

fn digest(file: &mut File) -> io::Result<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    file.rewind()?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            file: "d/web.raw".into(),
            name: None,
            bucket: "mine".into(),
            timeout: Duration::from_secs(600),
            arch: "x86_64".into(),
            ena: false,
            sriov: None,
            uefi: false,
            tpm: false,
        }
    }

    #[test]
    fn an_image_is_registered_with_what_was_asked_for() {
        let said = |options: &Options, field: &str| {
            let fields = registration(options, "web", "snap-1");
            fields.into_iter().find(|(name, _)| *name == field).map(|(_, value)| value)
        };
        let plain = options();
        for (field, value) in [
            ("EnaSupport", Some("false")),
            ("SriovNetSupport", None),
            ("BootMode", None),
            ("TpmSupport", None),
            ("BlockDeviceMapping.1.Ebs.SnapshotId", Some("snap-1")),
        ] {
            assert_eq!(said(&plain, field).as_deref(), value, "{field}");
        }
        let all = Options { ena: true, sriov: Some("simple".into()), uefi: true, tpm: true, ..options() };
        for (field, value) in [
            ("EnaSupport", "true"),
            ("SriovNetSupport", "simple"),
            ("BootMode", "uefi"),
            ("TpmSupport", "v2.0"),
        ] {
            assert_eq!(said(&all, field).as_deref(), Some(value), "{field}");
        }
        let arm = Options { arch: "arm64".into(), ..options() };
        assert_eq!(said(&arm, "BootMode").as_deref(), Some("uefi"));
    }

    #[test]
    fn what_ec2_would_refuse_after_the_upload_is_refused_before() {
        assert_eq!(name(&options()).unwrap(), "web");
        for bad in ["ab", "a*b", "a\nb", &"x".repeat(129)] {
            let options = Options { name: Some(bad.into()), ..options() };
            assert!(matches!(name(&options), Err(PushError::Name(_))), "{bad}");
        }
        assert!(matches!(name(&Options { tpm: true, ..options() }), Err(PushError::Tpm)));
    }
}
