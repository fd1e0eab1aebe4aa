//! An image in Compute Engine: uploaded to a bucket, checked, made of what lies there, or not there at all.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

use crate::event::Event;
use crate::gcp::{Cloud, GcpError, NESTED, Scope, Source, UEFI, name, upload};

/// What archives for Compute Engine are called.
const SUFFIX: &str = ".img.tar.gz";

/// What is made of which file.
#[derive(Debug, Clone)]
pub struct Options {
    /// The archive, as `lkb build --format gcp` writes it.
    pub file: PathBuf,
    /// The bucket that it goes to.
    pub bucket: String,
    /// The image's name; the file's without `.img.tar.gz`, if there is none.
    pub name: Option<String>,
    /// The family whose newest image it becomes.
    pub family: Option<String>,
    /// Everybody may read the archive in the bucket.
    pub public: bool,
    /// Machines may run machines.
    pub nested: bool,
    /// Machines boot it by EFI firmware, and may have a TPM.
    pub uefi: bool,
    /// How long the image may take to be made.
    pub patience: Duration,
}

/// Why there is no image.
#[derive(Debug, Error)]
pub enum PushError {
    /// It has a name that no image can have.
    #[error("cannot call {kind} {name:?}: {rule}; choose another name with {option}")]
    Name {
        /// `an image`, `a family`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The rule that it breaks.
        rule: &'static str,
        /// What names it.
        option: &'static str,
    },
    /// It is no archive.
    #[error("cannot push {}: it is not compressed by gzip; `lkb build --format gcp` writes what Compute Engine takes", .0.display())]
    Content(PathBuf),
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
    Cloud(#[from] GcpError),
    /// The image is there, and of no use.
    #[error("image {name} is {status}, and not READY, although it was made")]
    NotReady {
        /// The image.
        name: String,
        /// Its status.
        status: String,
    },
    /// What was begun is still there.
    #[error("{failure}; {what} could not be deleted either: {why}")]
    Left {
        /// The image or the object.
        what: String,
        /// Why it is of no use.
        failure: Box<PushError>,
        /// Why it is still there.
        why: GcpError,
    },
}

/// Makes an image of a file, in place of one of the same name, and returns its name when machines can be started from
/// it. The archive stays in the bucket. When that fails, archive and image are deleted.
///
/// # Errors
/// When the file is no archive, or the cloud does not take it.
pub fn push(
    options: &Options,
    log_in: impl FnOnce() -> Result<Cloud, GcpError>,
    tell: &dyn Fn(Event<'_>),
) -> Result<String, PushError> {
    let image = image_name(options)?;
    let path = &options.file;
    let read = |source| PushError::Read { path: path.clone(), source };
    let file = File::open(path).map_err(read)?;
    let len = file.metadata().map_err(read)?.len();
    let mut magic = [0; 2];
    match file.read_exact_at(&mut magic, 0) {
        Ok(()) if magic == [0x1F, 0x8B] => {}
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(read(error)),
        _ => return Err(PushError::Content(path.clone())),
    }

    let cloud = log_in()?;
    let object = format!("{image}{SUFFIX}");
    let source = Source { file: &file, path, len, tell };
    upload::upload(&cloud, &options.bucket, &object, options.public, &source)?;
    let failure = match make(&cloud, options, &image, &object, tell) {
        Ok(()) => return Ok(image),
        Err(failure) => failure,
    };
    match upload::delete(&cloud, &options.bucket, &object) {
        Ok(()) => Err(failure),
        Err(why) => {
            let what = format!("gs://{}/{object}", options.bucket);
            Err(PushError::Left { what, failure: Box::new(failure), why })
        }
    }
}

/// Makes the image of an object; without it when that fails.
fn make(
    cloud: &Cloud,
    options: &Options,
    image: &str,
    object: &str,
    tell: &dyn Fn(Event<'_>),
) -> Result<(), PushError> {
    if delete(cloud, image, options.patience)? {
        tell(Event::Note(&format!("there was an image {image} already; it is replaced")));
    }
    let action = format!("make image {image}");
    let operation = cloud.insert("global/images", &request(options, image, object), &action)?;
    let failure = match ready(cloud, operation, image, options.patience, &action) {
        Ok(()) => return Ok(()),
        Err(failure) => failure,
    };
    match delete(cloud, image, options.patience) {
        Ok(_) => Err(failure),
        Err(why) => Err(PushError::Left { what: format!("image {image}"), failure: Box::new(failure), why }),
    }
}

fn ready(
    cloud: &Cloud,
    operation: Value,
    image: &str,
    patience: Duration,
    action: &str,
) -> Result<(), PushError> {
    cloud.finish(operation, Scope::Global, patience, action)?;
    let found = cloud.get(&format!("global/images/{image}"), &format!("look at image {image}"))?;
    match found["status"].as_str() {
        Some("READY") => Ok(()),
        status => Err(PushError::NotReady {
            name: image.to_owned(),
            status: status.unwrap_or("without a status").to_owned(),
        }),
    }
}

/// Deletes an image; false when there is none.
fn delete(cloud: &Cloud, image: &str, patience: Duration) -> Result<bool, GcpError> {
    let action = format!("delete image {image}");
    let Some(operation) = cloud.delete(&format!("global/images/{image}"), &action)? else {
        return Ok(false);
    };
    cloud.finish(operation, Scope::Global, patience, &action).map(|()| true)
}

fn image_name(options: &Options) -> Result<String, PushError> {
    let name = options.name.clone().unwrap_or_else(|| default_name(&options.file));
    let check = |kind, text: &str, option| {
        let failed = |rule| PushError::Name { kind, name: text.to_owned(), rule, option };
        name::check(text).map_err(failed)
    };
    check("an image", &name, "--img-name")?;
    options.family.iter().try_for_each(|family| check("a family", family, "--family"))?;
    Ok(name)
}

fn default_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(SUFFIX).unwrap_or(&name).to_owned()
}

/// What Compute Engine is asked for (images.insert).
fn request(options: &Options, image: &str, object: &str) -> Value {
    let source = format!("https://storage.googleapis.com/{}/{object}", options.bucket);
    let mut request = json!({ "name": image, "rawDisk": { "source": source } });
    if let Some(family) = &options.family {
        request["family"] = family.as_str().into();
    }
    if options.nested {
        request["licenses"] = json!([NESTED]);
    }
    if options.uefi {
        request["guestOsFeatures"] = json!([{ "type": UEFI }]);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(file: &str) -> Options {
        Options {
            file: file.into(),
            bucket: "b".into(),
            name: None,
            family: None,
            public: false,
            nested: false,
            uefi: false,
            patience: Duration::from_secs(600),
        }
    }

    #[test]
    fn an_image_is_called_as_its_file() {
        for (file, expected) in
            [("d/web.img.tar.gz", "web"), ("web-1", "web-1"), ("a/my.web.img.tar.gz", "my.web")]
        {
            assert_eq!(default_name(Path::new(file)), expected);
        }
        let error = image_name(&options("a/my.web.img.tar.gz")).unwrap_err().to_string();
        assert!(error.contains("my.web") && error.contains("--img-name"), "{error}");
        let family = Options { family: Some("A".into()), ..options("web.img.tar.gz") };
        let error = image_name(&family).unwrap_err().to_string();
        assert!(error.contains("--family"), "{error}");
    }

    #[test]
    fn a_request_has_what_was_asked_for_and_no_more() {
        let source = json!({ "source": "https://storage.googleapis.com/b/web.img.tar.gz" });
        assert_eq!(
            request(&options("f"), "web", "web.img.tar.gz"),
            json!({ "name": "web", "rawDisk": source })
        );
        let all = Options { family: Some("f".into()), nested: true, uefi: true, ..options("f") };
        assert_eq!(
            request(&all, "web", "web.img.tar.gz"),
            json!({
                "name": "web", "rawDisk": source, "family": "f", "licenses": [NESTED],
                "guestOsFeatures": [{ "type": "UEFI_COMPATIBLE" }],
            })
        );
    }

    #[test]
    fn what_is_no_archive_never_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("web.img.tar.gz");
        for content in ["", "x", "raw disk"] {
            std::fs::write(&file, content).unwrap();
            let options = options(file.to_str().unwrap());
            let error = push(&options, || unreachable!("nobody is asked"), &|_| {}).unwrap_err().to_string();
            assert!(error.contains("lkb build --format gcp"), "{error}");
        }
    }
}
