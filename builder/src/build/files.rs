//! The `files` of a configuration, written over what the images brought.

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Config, FileEntry, FileKind, MetadataFormat};
use crate::image::Reference;
use crate::spec::Ids;
use crate::tree::{Content, Kind, Location, Node, Origin, Tree, TreeError, clean};

use super::{BuildError, FileFault, would_lose};

/// Largest file that is copied from the host, in bytes. What is larger belongs into an image.
const MAX_SOURCE: u64 = 512 << 20;

/// Adds all files, in order.
pub(super) fn add_all(root: &mut Tree, config: &Config) -> Result<(), BuildError> {
    let ids = Ids::assign(config);
    for (index, file) in config.files.iter().enumerate() {
        let origin = Arc::new(Origin { location: Location::File(index), source: "linuxkit.files".into() });
        add(root, file, config, &ids, &origin).map_err(|fault| BuildError::File {
            spot: file.spot.clone(),
            path: file.path.clone(),
            fault: Box::new(fault),
        })?;
    }
    Ok(())
}

fn add(
    root: &mut Tree,
    file: &FileEntry,
    config: &Config,
    ids: &Ids,
    origin: &Arc<Origin>,
) -> Result<(), FileFault> {
    let Some(kind) = kind(file, config)? else { return Ok(()) };
    let mut node = Node::generated(kind, file.mode & 0o7777, origin);
    node.uid = ids.resolve(&file.uid).map_err(FileFault::Id)?;
    node.gid = ids.resolve(&file.gid).map_err(FileFault::Id)?;
    if matches!(node.kind, Kind::Symlink(_)) {
        node.mode = 0o777;
    }
    let path = clean(file.path.trim_start_matches('/').as_bytes()).map_err(TreeError::Path)?;
    // A directory that is a link stays one: what the file asks for is said about where it leads.
    let at = match node.kind {
        Kind::Directory => root.resolve(&path)?,
        _ => root.resolve_parent(&path)?,
    };
    if would_lose(root, &at, &node) {
        let from = root.get(&at).map(|node| node.origin.to_string()).unwrap_or_default();
        return Err(TreeError::Occupied { path: at, from, by: origin.to_string() }.into());
    }
    root.insert(&at, node)?;
    Ok(())
}

/// What it is; nothing when it is optional and its source cannot be read.
fn kind(file: &FileEntry, config: &Config) -> Result<Option<Kind>, FileFault> {
    let content = match &file.kind {
        FileKind::Directory => return Ok(Some(Kind::Directory)),
        FileKind::Symlink(target) => return Ok(Some(Kind::Symlink(target.clone().into_bytes()))),
        FileKind::Contents(text) => text.as_bytes().into(),
        FileKind::Metadata(format) => metadata(config, *format)?.into_bytes().into(),
        FileKind::Source(written) => {
            let path = host_path(written, env::var_os("HOME").map(PathBuf::from))?;
            match read(&path) {
                Ok(bytes) => bytes,
                Err(_) if file.optional => return Ok(None),
                Err(source) => return Err(FileFault::Source { path: path.display().to_string(), source }),
            }
        }
    };
    Ok(Some(Kind::File(content)))
}

/// The configuration, with the images' canonical names.
fn metadata(config: &Config, format: MetadataFormat) -> Result<String, FileFault> {
    let mut config = config.clone();
    for image in config.images_mut() {
        if let Ok(reference) = image.reference.parse::<Reference>() {
            image.reference = reference.to_string();
        }
    }
    match format {
        MetadataFormat::Yaml => config.to_yaml(),
        MetadataFormat::Json => config.to_json(),
    }
    .map_err(FileFault::Metadata)
}

fn host_path(written: &str, home: Option<PathBuf>) -> Result<PathBuf, FileFault> {
    match written.strip_prefix("~/") {
        None => Ok(PathBuf::from(written)),
        Some(below) => home.map(|home| home.join(below)).ok_or_else(|| FileFault::NoHome(written.to_owned())),
    }
}

fn read(path: &Path) -> io::Result<Content> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SOURCE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_SOURCE {
        true => Err(io::Error::other(format!("it has more than {MAX_SOURCE} bytes"))),
        false => Ok(bytes.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_relative_to_the_working_directory_or_to_the_home() {
        let home = || Some(PathBuf::from("/home/x"));
        assert_eq!(host_path("a/b", home()).unwrap(), Path::new("a/b"));
        assert_eq!(host_path("~/.ssh/id.pub", home()).unwrap(), Path::new("/home/x/.ssh/id.pub"));
        assert_eq!(host_path("~root/x", home()).unwrap(), Path::new("~root/x"));
        assert!(matches!(host_path("~/x", None), Err(FileFault::NoHome(_))));
    }
}
