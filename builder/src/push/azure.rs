//! An image in Azure: uploaded as a page blob, made of what lies there, or not there at all.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

use super::vhd::{self, Flaw};
use crate::azure::{Account, Arm, AzureError, FillError, PageBlob, Task, api, group};
use crate::event::{Event, Work};

/// LinuxKit's container and blob.
const CONTAINER: &str = "linuxkitcontainer";
const BLOB: &str = "linuxkitimage.vhd";

/// What is made of which file.
#[derive(Debug, Clone)]
pub struct Options {
    /// The disk, as `lkb build --format vhd` writes it.
    pub file: PathBuf,
    /// The resource group of account and image.
    pub group: String,
    /// The storage account.
    pub account: String,
    /// The image's name; the file's without its extension, if there is none.
    pub name: Option<String>,
    /// Machines boot it by EFI firmware.
    pub uefi: bool,
    /// How long the image may take to be made.
    pub patience: Duration,
}

/// Why there is no image.
#[derive(Debug, Error)]
pub enum PushError {
    /// It has a name that no image can have.
    #[error(
        "cannot call an image {0:?}: names have up to 80 letters, digits, _, . and -, begin with a letter or a digit, and \
         end with one or with _; choose another name with --img-name"
    )]
    Name(String),
    /// It is no disk that Azure takes.
    #[error("cannot push {}: {reason}; `lkb build --format vhd` writes what Azure takes", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Azure does not do it.
    #[error(transparent)]
    Cloud(#[from] AzureError),
    /// What was begun is still there.
    #[error("{failure}; {what} could not be deleted either: {why}")]
    Left {
        /// The image or the blob.
        what: String,
        /// Why it is of no use.
        failure: Box<PushError>,
        /// Why it is still there.
        why: AzureError,
    },
}

/// A disk that has been looked at.
#[derive(Debug)]
pub struct Disk<'a> {
    options: &'a Options,
    name: String,
    file: File,
    len: u64,
}

/// An image that machines can be started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its full name.
    pub id: String,
    /// Where it is.
    pub location: String,
}

impl<'a> Disk<'a> {
    /// Looks whether Azure would take it. Nobody is asked anything.
    ///
    /// # Errors
    /// When it would not.
    pub fn open(options: &'a Options) -> Result<Self, PushError> {
        let path = &options.file;
        let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = options.name.clone().unwrap_or_else(stem);
        if !is_name(&name) {
            return Err(PushError::Name(name));
        }
        let read = |source| PushError::Read { path: path.clone(), source };
        let file = File::open(path).map_err(read)?;
        let len = file.metadata().map_err(read)?.len();
        vhd::check(&file, len).map_err(|flaw| match flaw {
            Flaw::Read(error) => read(error),
            Flaw::Content(reason) => PushError::Content { path: path.clone(), reason },
        })?;
        Ok(Self { options, name, file, len })
    }

    /// Makes an image of it, in place of one of the same name. The blob stays, as LinuxKit leaves it, until the next
    /// push. When that fails, blob and image are deleted.
    ///
    /// # Errors
    /// When Azure does not take it.
    pub fn push(&self, arm: &Arm, tell: &dyn Fn(Event<'_>)) -> Result<Image, PushError> {
        let account = Account::open(arm, &self.options.group, &self.options.account)?;
        account.make_container(CONTAINER)?;
        let blob = account.blob(CONTAINER, BLOB);
        blob.make(self.len)?;
        let failure = match self.upload(&blob, tell).and_then(|()| self.make(arm, &account, &blob, tell)) {
            Ok(image) => return Ok(image),
            Err(failure) => failure,
        };
        match blob.delete() {
            Ok(()) => Err(failure),
            Err(why) => {
                Err(PushError::Left { what: format!("blob {}", blob.url()), failure: Box::new(failure), why })
            }
        }
    }

    fn upload(&self, blob: &PageBlob<'_>, tell: &dyn Fn(Event<'_>)) -> Result<(), PushError> {
        let (work, name, total) = (Work::Upload, self.name.as_str(), self.len);
        tell(Event::Started { work, name });
        let sent = |bytes| tell(Event::Advanced { work, name, bytes, total });
        blob.fill(&self.file, self.len, &sent).map_err(|error| match error {
            FillError::Read(source) => PushError::Read { path: self.options.file.clone(), source },
            FillError::Cloud(error) => error.into(),
        })?;
        tell(Event::Finished { work, name, bytes: Some(total), digest: None });
        Ok(())
    }

    /// Makes the image; without it when that fails.
    fn make(
        &self,
        arm: &Arm,
        account: &Account<'_>,
        blob: &PageBlob<'_>,
        tell: &dyn Fn(Event<'_>),
    ) -> Result<Image, PushError> {
        let (name, patience) = (&self.name, self.options.patience);
        let path = group(&self.options.group, &format!("providers/Microsoft.Compute/images/{name}"));
        let (make, delete) = (format!("make image {name}"), format!("delete image {name}"));
        let delete = Task { patience, action: &delete };
        // One that is there would stay as it is: its disk cannot be changed.
        if arm.delete(&path, api::COMPUTE, delete)? {
            tell(Event::Note(&format!("there was an image {name} already; it is replaced")));
        }
        let body = request(&account.location, &blob.url(), self.options.uefi);
        let failure = match arm.make(&path, api::COMPUTE, &body, Task { patience, action: &make }) {
            Ok(_) => return Ok(Image { id: arm.id(&path), location: account.location.clone() }),
            Err(failure) => PushError::from(failure),
        };
        match arm.delete(&path, api::COMPUTE, delete) {
            Ok(_) => Err(failure),
            Err(why) => {
                Err(PushError::Left { what: format!("image {name}"), failure: Box::new(failure), why })
            }
        }
    }
}

/// "Naming rules and restrictions for Azure resources", `Microsoft.Compute/images`.
fn is_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"_.-".contains(&c);
    let [first, .., last] = name.as_bytes() else {
        return name.bytes().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty();
    };
    name.len() <= 80
        && name.bytes().all(plain)
        && first.is_ascii_alphanumeric()
        && (last.is_ascii_alphanumeric() || *last == b'_')
}

/// What Resource Manager is asked for ("Images: Create Or Update").
fn request(location: &str, blob: &str, uefi: bool) -> Value {
    json!({
        "location": location,
        "properties": {
            "hyperVGeneration": if uefi { "V2" } else { "V1" },
            "storageProfile": { "osDisk": {
                "osType": "Linux", "osState": "Generalized", "blobUri": blob, "caching": "ReadWrite",
                "storageAccountType": "Standard_LRS",
            } },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_azure_takes() {
        for name in ["a", "web-1.2_", "0", &"a".repeat(80)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-", "-web", "web-", "web.", "we b", "wéb", "a/b", &"a".repeat(81)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn the_generation_is_that_of_the_firmware() {
        for (uefi, generation) in [(false, "V1"), (true, "V2")] {
            let request = request("westus", "https://a/b.vhd", uefi);
            assert_eq!(request["properties"]["hyperVGeneration"], generation);
            assert_eq!(request["properties"]["storageProfile"]["osDisk"]["blobUri"], "https://a/b.vhd");
        }
    }
}
