//! A CD image in a datastore of vCenter: whole, or not there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::event::{Event, Work};
use crate::vcenter::{Place, Session, VCenterError};

/// What goes where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The CD image.
    pub file: PathBuf,
    /// The datacenter's name, if there are several.
    pub datacenter: Option<String>,
    /// The datastore's name, if there are several.
    pub datastore: Option<String>,
    /// The name of a host that must be there.
    pub host: Option<String>,
    /// The folder in the datastore; called as the file, if there is none.
    pub folder: Option<String>,
}

/// Why it is not there.
#[derive(Debug, Error)]
pub enum PushError {
    /// Nothing that a machine has as a CD.
    #[error("cannot use {}: its name does not end in .iso; `lkb build --format iso-bios` and `iso-efi` write such", .0.display())]
    Format(PathBuf),
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// vCenter does not do it.
    #[error(transparent)]
    Cloud(#[from] VCenterError),
    /// vCenter has something else than was sent.
    #[error("{file} has {found} bytes, and {sent} were sent")]
    Differs {
        /// The file there.
        file: String,
        /// What it has.
        found: u64,
        /// What was sent.
        sent: u64,
    },
    /// What was begun is still there.
    #[error("{failure}; {file} could not be deleted either: {why}")]
    Left {
        /// The file there.
        file: String,
        /// Why it is of no use.
        failure: Box<PushError>,
        /// Why it is still there.
        why: VCenterError,
    },
}

/// The folder of a CD image: its own name without `.iso`.
///
/// # Errors
/// When it has another name.
pub fn folder(file: &Path) -> Result<String, PushError> {
    let name = file.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".iso"));
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| PushError::Format(file.to_owned()))?;
    Ok(name.to_owned())
}

/// Uploads a CD image, and returns what vCenter calls it. When that fails, it is deleted.
///
/// # Errors
/// When the file is none, or vCenter does not take it.
pub fn push(
    options: &Options,
    log_in: impl FnOnce() -> Result<Session, VCenterError>,
    tell: &dyn Fn(Event<'_>),
) -> Result<String, PushError> {
    let stem = folder(&options.file)?;
    let read = |source| PushError::Read { path: options.file.clone(), source };
    let file = File::open(&options.file).map_err(read)?;
    let len = file.metadata().map_err(read)?.len();
    let session = log_in()?;
    let place = Place::find(&session, options.datacenter.as_deref(), options.datastore.as_deref())?;
    if let Some(host) = &options.host {
        place.host(&session, Some(host))?;
    }
    let path = format!("{}/{stem}.iso", options.folder.as_ref().unwrap_or(&stem));
    let (written, address) = (place.written(&path), place.address(&path));
    let failure = match upload(&session, (&address, &written), (&file, len), &stem, tell) {
        Ok(()) => return Ok(written),
        Err(failure) => failure,
    };
    match session.delete_file(&address, &format!("delete {written}")) {
        Ok(()) => Err(failure),
        Err(why) => Err(PushError::Left { file: written, failure: Box::new(failure), why }),
    }
}

fn upload(
    session: &Session,
    (address, written): (&str, &str),
    (file, len): (&File, u64),
    name: &str,
    tell: &dyn Fn(Event<'_>),
) -> Result<(), PushError> {
    let work = Work::Upload;
    tell(Event::Started { work, name });
    let sent = |bytes| tell(Event::Advanced { work, name, bytes, total: len });
    session.upload(address, file, len, &sent, &format!("upload {written}"))?;
    match session.length(address, &format!("look at {written}"))? {
        Some(found) if found != len => Err(PushError::Differs { file: written.to_owned(), found, sent: len }),
        _ => {
            tell(Event::Finished { work, name, bytes: Some(len), digest: None });
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_called_as_its_file() {
        assert_eq!(folder(Path::new("a/web.iso")).unwrap(), "web");
        assert_eq!(folder(Path::new("my.web.iso")).unwrap(), "my.web");
        for other in ["web.img", "web", ".iso", "web.ISO"] {
            let error = folder(Path::new(other)).unwrap_err().to_string();
            assert!(error.contains("does not end in .iso"), "{error}");
        }
    }
}
