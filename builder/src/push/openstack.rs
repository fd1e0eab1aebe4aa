//! An image in Glance: made, filled, compared, or not there at all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use thiserror::Error;
use ureq::http::Method;

use crate::event::{Event, Work};
use crate::openstack::{Cloud, OpenStackError, Service};

/// How long an image may take to be active after its last byte.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often it is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes between two reports of progress.
const REPORT: u64 = 1 << 20;

/// What is made of which file.
#[derive(Debug, Clone)]
pub struct Options {
    /// The disk image.
    pub file: PathBuf,
    /// The image's name; the file's without its extension, if there is none.
    pub name: Option<String>,
    /// Machines boot it by EFI firmware, whatever its name says.
    pub uefi: bool,
    /// Further properties.
    pub properties: BTreeMap<String, String>,
}

/// Why there is no image.
#[derive(Debug, Error)]
pub enum PushError {
    /// Nothing that Glance knows.
    #[error(
        "cannot push {}: its name does not end in one of .qcow2, .raw, .img, .iso, .vmdk, .vhd, .vhdx and .ami, which is \
         how OpenStack is told what it is", .0.display()
    )]
    Format(PathBuf),
    /// Its bytes are something else.
    #[error("cannot push {}: by its name it is {named}, by its first bytes {found}; rename it", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// By its name.
        named: &'static str,
        /// By its bytes.
        found: &'static str,
    },
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The cloud does not do it.
    #[error(transparent)]
    Cloud(#[from] OpenStackError),
    /// The cloud has something else than was sent.
    #[error("the cloud did not get what was sent: {0}")]
    Differs(String),
    /// The image never became usable.
    #[error("image {id} is {status}, and not active, {} s after its last byte", PATIENCE.as_secs())]
    NotActive {
        /// The image.
        id: String,
        /// Its status.
        status: String,
    },
    /// What was begun is still there.
    #[error("{failure}; image {id} could not be deleted either: {why}")]
    Left {
        /// The image.
        id: String,
        /// Why it is of no use.
        failure: Box<PushError>,
        /// Why it is still there.
        why: OpenStackError,
    },
}

/// An image as Glance shows it.
#[derive(Debug, Deserialize)]
struct Image {
    id: String,
    status: String,
    size: Option<u64>,
    os_hash_algo: Option<String>,
    os_hash_value: Option<String>,
}

/// Makes an image of a file, and returns its id when machines can be started from it. When that fails, the image that
/// was begun is deleted.
///
/// # Errors
/// When the file is no image, or the cloud does not take it whole.
pub fn push(
    options: &Options,
    log_in: impl FnOnce() -> Result<Cloud, OpenStackError>,
    tell: &dyn Fn(Event<'_>),
) -> Result<String, PushError> {
    let path = &options.file;
    let format = disk_format(path).ok_or_else(|| PushError::Format(path.clone()))?;
    let read = |source| PushError::Read { path: path.clone(), source };
    let mut file = File::open(path).map_err(read)?;
    let len = file.metadata().map_err(read)?.len();
    let mut start = Vec::new();
    (&mut file).take(4).read_to_end(&mut start).map_err(read)?;
    io::Seek::rewind(&mut file).map_err(read)?;
    let is_qcow2 = start == *b"QFI\xFB";
    if is_qcow2 != (format == "qcow2") {
        let found = if is_qcow2 { "qcow2" } else { "something else" };
        return Err(PushError::Content { path: path.clone(), named: format, found });
    }

    let cloud = log_in()?;
    let description = description(options, format);
    let name = description["name"].as_str().unwrap_or_default().to_owned();
    let answer = cloud.ask(
        Service::Image,
        Method::POST,
        "/images",
        Some(&description),
        &format!("make image {name}"),
    )?;
    let Image { id, .. } = image(answer, &name)?;
    let mut source = Source { file, hash: Sha512::new(), len, sent: 0, told: 0, name: &name, tell };
    match fill(&cloud, &id, &mut source) {
        Ok(()) => Ok(id),
        Err(failure) => {
            let what = format!("/images/{id}");
            match cloud.ask(Service::Image, Method::DELETE, &what, None, &format!("delete image {id}")) {
                Ok(_) => Err(failure),
                Err(why) => Err(PushError::Left { id, failure: Box::new(failure), why }),
            }
        }
    }
}

fn fill(cloud: &Cloud, id: &str, source: &mut Source<'_>) -> Result<(), PushError> {
    let (work, name, len) = (Work::Upload, source.name, source.len);
    (source.tell)(Event::Started { work, name });
    let action = format!("upload image {id}");
    cloud.upload(Service::Image, &format!("/images/{id}/file"), source, len, &action)?;
    if source.sent != len {
        return Err(PushError::Differs(format!(
            "the file had {len} bytes, and {} when it was read",
            source.sent
        )));
    }
    let hash = source.hash.clone().finalize();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let deadline = Instant::now() + PATIENCE;
    let image = loop {
        let what = format!("/images/{id}");
        let answer = cloud.ask(Service::Image, Method::GET, &what, None, &format!("look at image {id}"))?;
        let image = image(answer, name)?;
        match image.status.as_str() {
            "active" => break image,
            "queued" | "saving" | "uploading" | "importing" if Instant::now() < deadline => {
                thread::sleep(PAUSE)
            }
            _ => return Err(PushError::NotActive { id: id.to_owned(), status: image.status }),
        }
    };
    compare(&image, len, &hash)?;
    (source.tell)(Event::Finished { work, name, bytes: Some(len), digest: None });
    Ok(())
}

/// Looks that the cloud has what was sent. Clouds with another algorithm than the usual one are taken at their size.
fn compare(image: &Image, len: u64, hash: &str) -> Result<(), PushError> {
    if image.size != Some(len) {
        let size = image.size.map_or_else(|| "no size".to_owned(), |size| format!("{size} bytes"));
        return Err(PushError::Differs(format!("it has {size}, and {len} bytes were sent")));
    }
    match (image.os_hash_algo.as_deref(), image.os_hash_value.as_deref()) {
        (Some("sha512"), Some(value)) if value != hash => {
            Err(PushError::Differs(format!("the SHA-512 there is {value}, here {hash}")))
        }
        _ => Ok(()),
    }
}

fn image(answer: Value, name: &str) -> Result<Image, PushError> {
    serde_json::from_value(answer)
        .map_err(|error| PushError::Differs(format!("its answer about image {name} is no image: {error}")))
}

/// What Glance is told of an image before it has any bytes.
fn description(options: &Options, format: &str) -> Value {
    let stem = options.file.file_stem().unwrap_or_default().to_string_lossy();
    let mut description = json!({
        "name": options.name.as_deref().unwrap_or(&stem),
        "disk_format": format,
        "container_format": "bare",
        "os_type": "linux",
    });
    if options.uefi || ["-efi", "-efi.img"].iter().any(|end| stem.ends_with(end)) {
        description["hw_firmware_type"] = "uefi".into();
        // What EFI firmware is made for; Nova's default is older.
        description["hw_machine_type"] = "q35".into();
    }
    for (key, value) in &options.properties {
        description[key] = value.as_str().into();
    }
    description
}

/// Glance's name for what a file is by its own.
fn disk_format(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?;
    [
        ("qcow2", "qcow2"),
        ("raw", "raw"),
        ("img", "raw"),
        ("iso", "iso"),
        ("vmdk", "vmdk"),
        ("vhd", "vhd"),
        ("vhdx", "vhdx"),
        ("ami", "ami"),
    ]
    .into_iter()
    .find_map(|(known, format)| extension.eq_ignore_ascii_case(known).then_some(format))
}

/// The file on its way.
struct Source<'a> {
    file: File,
    hash: Sha512,
    len: u64,
    sent: u64,
    told: u64,
    name: &'a str,
    tell: &'a dyn Fn(Event<'_>),
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.sent += count as u64;
        if self.sent >= self.told + REPORT || (count > 0 && self.sent == self.len) {
            self.told = self.sent;
            let (bytes, total) = (self.sent, self.len);
            (self.tell)(Event::Advanced { work: Work::Upload, name: self.name, bytes, total });
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_described_by_its_name() {
        for (file, format, efi) in [
            ("d/m.qcow2", Some("qcow2"), false),
            ("m-bios.img", Some("raw"), false),
            ("m-efi.img", Some("raw"), true),
            ("m-efi.qcow2", Some("qcow2"), true),
            ("m.VMDK", Some("vmdk"), false),
            ("m.vhdx", Some("vhdx"), false),
            ("m.iso", Some("iso"), false),
            ("m.txt", None, false),
            ("m", None, false),
        ] {
            assert_eq!(disk_format(Path::new(file)), format, "{file}");
            let options = Options { file: file.into(), name: None, uefi: false, properties: BTreeMap::new() };
            let described = description(&options, "raw");
            assert_eq!(described["hw_firmware_type"] == "uefi", efi, "{file}");
        }
    }

    #[test]
    fn properties_of_ones_own_win() {
        let properties = [("hw_machine_type", "pc"), ("team", "a")];
        let options = Options {
            file: "m.raw".into(),
            name: Some("web".into()),
            uefi: true,
            properties: properties.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        };
        assert_eq!(
            description(&options, "raw"),
            json!({
                "name": "web", "disk_format": "raw", "container_format": "bare", "os_type": "linux",
                "hw_firmware_type": "uefi", "hw_machine_type": "pc", "team": "a",
            })
        );
    }

    #[test]
    fn another_size_or_hash_is_another_image() {
        let image = |size, algorithm: Option<&str>, value: &str| Image {
            id: "1".into(),
            status: "active".into(),
            size,
            os_hash_algo: algorithm.map(Into::into),
            os_hash_value: Some(value.into()),
        };
        compare(&image(Some(5), Some("sha512"), "ab"), 5, "ab").unwrap();
        compare(&image(Some(5), None, "ab"), 5, "cd").unwrap();
        for (other, says) in [
            (image(Some(4), Some("sha512"), "ab"), "it has 4 bytes, and 5 bytes were sent"),
            (image(None, None, "ab"), "it has no size"),
            (image(Some(5), Some("sha512"), "cd"), "the SHA-512 there is cd, here ab"),
        ] {
            let error = compare(&other, 5, "ab").unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
