//! An instance in Compute Engine, from an image that is there already, and what its serial port says.
//!
//! | file | duty |
//! |---|---|
//! | `request.rs` | what Compute Engine is asked for |
//! | `console.rs` | what the serial port says until the instance is off |

mod console;
mod request;

use std::io::{self, Write};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use crate::gcp::{Cloud, GcpError, NESTED, Scope, UEFI, name};
use crate::run::disk::DiskRequest;

use console::follow;
use request::{disk_name, disk_request};

/// The largest value of metadata, in bytes ("VM metadata: limitations").
pub const MAX_USER_DATA: usize = 256 << 10;

/// What is started, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The image's name.
    pub image: String,
    /// The instance's name.
    pub name: String,
    /// Where it runs.
    pub zone: String,
    /// Its machine type.
    pub machine: String,
    /// It may run machines itself.
    pub nested: bool,
    /// It has a TPM.
    pub vtpm: bool,
    /// What the instance is told when it asks for its user data.
    pub user_data: Option<Vec<u8>>,
    /// New disks beside the image's; a path is a name here.
    pub disks: Vec<DiskRequest>,
    /// How long each step may take.
    pub patience: Duration,
}

/// Why no instance runs.
#[derive(Debug, Error)]
pub enum InstanceError {
    /// It has a name that none can have.
    #[error("cannot call {kind} {name:?}: {rule}; choose another name with {option}")]
    Name {
        /// `an instance`, `a disk`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The rule that it breaks.
        rule: &'static str,
        /// What names it.
        option: &'static str,
    },
    /// It would be refused.
    #[error(
        "the user data has {0} bytes, and Compute Engine takes up to {MAX_USER_DATA} in a value: let the machine fetch the \
         rest itself"
    )]
    UserData(usize),
    /// It cannot be sent.
    #[error(
        "the user data is not in UTF-8, and Compute Engine takes texts only: encode it, in base64 for instance"
    )]
    NotText,
    /// What the serial port says cannot be shown.
    #[error("cannot write what the serial port says")]
    Write(#[source] io::Error),
    /// The image does not have it.
    #[error("image {image} cannot have {what}: push it with `lkb push gcp {option}`")]
    Image {
        /// The image.
        image: String,
        /// What was asked for.
        what: &'static str,
        /// What is to be done.
        option: &'static str,
    },
    /// The cloud does not do it.
    #[error(transparent)]
    Cloud(#[from] GcpError),
    /// What was begun is still there.
    #[error("{failure}; disks that were made for it could not be deleted either: {why}")]
    Left {
        /// Why there is no instance.
        failure: Box<InstanceError>,
        /// Why they are still there.
        why: GcpError,
    },
}

/// Starts an instance in place of one of the same name, and copies what its serial port says to `console` until it is
/// off. It is still there then: [`delete`] deletes it.
///
/// # Errors
/// When something that it needs is not there, or the cloud refuses. Of an instance that could not be made, no disks are
/// left.
pub fn run(
    options: &Options,
    cloud: &Cloud,
    console: &mut dyn Write,
    tell: &dyn Fn(&str),
) -> Result<(), InstanceError> {
    let action = format!("find image {}", options.image);
    let image = cloud.get(&format!("global/images/{}", options.image), &action)?;
    fits(options, &image)?;
    if delete(cloud, options)? {
        tell(&format!("there was an instance {} already; it is replaced", options.name));
    }
    let failure = match start(cloud, options, console, tell) {
        Ok(()) => return Ok(()),
        Err(failure) => failure,
    };
    match tidy(cloud, options) {
        Ok(()) => Err(failure),
        Err(why) => Err(InstanceError::Left { failure: Box::new(failure), why }),
    }
}

fn start(
    cloud: &Cloud,
    options: &Options,
    console: &mut dyn Write,
    tell: &dyn Fn(&str),
) -> Result<(), InstanceError> {
    let zone = Scope::Zone(&options.zone);
    for (number, disk) in options.disks.iter().enumerate() {
        let name = disk_name(options, number, disk);
        let action = format!("make disk {name}");
        let operation = cloud.insert(&zone.path("disks"), &disk_request(options, &name, disk), &action)?;
        cloud.finish(operation, zone, options.patience, &action)?;
    }
    let action = format!("start instance {}", options.name);
    let operation = cloud.insert(&zone.path("instances"), &request::instance(options), &action)?;
    tell(&format!("instance {} is being made", options.name));
    follow(cloud, options, operation, console, &action)
}

/// Deletes disks that were made for an instance which is not there.
fn tidy(cloud: &Cloud, options: &Options) -> Result<(), GcpError> {
    let zone = Scope::Zone(&options.zone);
    if options.disks.is_empty() || cloud.find(&instance_path(options), "look at the instance")?.is_some() {
        return Ok(());
    }
    for (number, disk) in options.disks.iter().enumerate() {
        let name = disk_name(options, number, disk);
        let action = format!("delete disk {name}");
        if let Some(operation) = cloud.delete(&zone.path(&format!("disks/{name}")), &action)? {
            cloud.finish(operation, zone, options.patience, &action)?;
        }
    }
    Ok(())
}

fn instance_path(options: &Options) -> String {
    Scope::Zone(&options.zone).path(&format!("instances/{}", options.name))
}

/// Whether all this can be asked for. Nobody is asked anything.
///
/// # Errors
/// When a name or the user data would be refused.
pub fn check(options: &Options) -> Result<(), InstanceError> {
    let check = |kind, text: &str, option| {
        let failed = |rule| InstanceError::Name { kind, name: text.to_owned(), rule, option };
        name::check(text).map_err(failed)
    };
    check("an instance", &options.name, "--name")?;
    for (number, disk) in options.disks.iter().enumerate() {
        check("a disk", &disk_name(options, number, disk), "--disk")?;
    }
    match options.user_data.as_deref() {
        Some(data) if data.len() > MAX_USER_DATA => Err(InstanceError::UserData(data.len())),
        Some(data) => std::str::from_utf8(data).map(drop).map_err(|_| InstanceError::NotText),
        None => Ok(()),
    }
}

/// Deletes the instance, with its disks; false when there is none.
///
/// # Errors
/// When the cloud refuses.
pub fn delete(cloud: &Cloud, options: &Options) -> Result<bool, GcpError> {
    let zone = Scope::Zone(&options.zone);
    let action = format!("delete instance {}", options.name);
    let Some(operation) = cloud.delete(&instance_path(options), &action)? else {
        return Ok(false);
    };
    cloud.finish(operation, zone, options.patience, &action).map(|()| true)
}

/// Whether the image has what the instance needs of it, as LinuxKit asks.
fn fits(options: &Options, image: &Value) -> Result<(), InstanceError> {
    let list = |member: &str| image[member].as_array().map_or(&[][..], Vec::as_slice).iter();
    let uefi = list("guestOsFeatures").any(|feature| feature["type"] == UEFI);
    let nested = list("licenses").filter_map(Value::as_str).any(|licence| licence.ends_with(NESTED));
    let missing = |what, option| Err(InstanceError::Image { image: options.image.clone(), what, option });
    match (options.vtpm && !uefi, options.nested && !nested) {
        (true, _) => missing("a TPM", "--uefi-compatible"),
        (_, true) => missing("nested virtualization", "--nested-virt"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use request::tests::options;
    use serde_json::json;

    #[test]
    fn what_would_be_refused_is_said_before_anybody_is_asked() {
        let data = |bytes: Vec<u8>| Options { user_data: Some(bytes), ..options() };
        check(&options()).unwrap();
        check(&data(vec![b'x'; MAX_USER_DATA])).unwrap();
        for (options, says) in [
            (data(vec![b'x'; MAX_USER_DATA + 1]), "has 262145 bytes"),
            (data(vec![0xFF]), "not in UTF-8"),
            (Options { name: "Web".into(), ..options() }, "--name"),
            (Options { disks: vec!["a/b".parse().unwrap()], ..options() }, "--disk"),
        ] {
            let error = check(&options).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn an_image_must_have_what_is_asked_of_it() {
        let licence = "https://www.googleapis.com/compute/v1/projects/vm-options/global/licenses/enable-vmx";
        let able =
            json!({ "guestOsFeatures": [{ "type": "GVNIC" }, { "type": UEFI }], "licenses": [licence] });
        for (nested, vtpm, option) in [
            (false, false, None),
            (true, false, Some("--nested-virt")),
            (false, true, Some("--uefi-compatible")),
        ] {
            let options = Options { nested, vtpm, ..options() };
            fits(&options, &able).unwrap();
            let error = fits(&options, &json!({})).err().map(|error| error.to_string());
            assert_eq!(error.is_some(), option.is_some());
            assert!(error.is_none_or(|error| option.is_some_and(|option| error.contains(option))));
        }
    }
}
