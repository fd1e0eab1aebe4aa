//! A directory, or a tar archive that is read by offset.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use super::super::ImageError;
use super::super::archive::{EntryKind, entries};
use super::super::blobs::Directories;
use super::super::layer::Compression;
use super::spool::{self, Spooled};

/// A content and its length in bytes.
pub(super) type Opened<'a> = (Box<dyn Read + 'a>, u64);

/// Where the files of an image layout come from.
#[derive(Debug)]
pub(super) enum Source {
    Directory(PathBuf),
    Archive {
        path: PathBuf,
        file: File,
        members: HashMap<String, Member>,
        /// The copy that `file` is, if it is one.
        _copy: Option<Spooled>,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Member {
    File {
        offset: u64,
        len: u64,
    },
    /// The name of another member: older `docker save` links a layer that two images share.
    Link(String),
}

impl Source {
    /// Opens a directory or an archive. The caller holds the lock for adding.
    pub(super) fn open(path: &Path, dirs: &Directories) -> Result<Self, ImageError> {
        if fs::metadata(path).map_err(ImageError::io("import", path))?.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        let (file, len) = open_regular(path).map_err(ImageError::io("import", path))?;
        let mut start = Vec::new();
        (&file).take(4).read_to_end(&mut start).map_err(ImageError::io("import", path))?;
        match Compression::of(&start) {
            Compression::None => Self::archive(path, file, len, None),
            compression => {
                let copy = spool::expand(&file, len, compression, path, dirs)?;
                Self::of_copy(path, copy)
            }
        }
    }

    /// Takes an archive from a stream; `called` is its name in errors. The caller holds the lock for adding.
    pub(super) fn receive(
        stream: &mut dyn Read,
        called: &Path,
        dirs: &Directories,
    ) -> Result<Self, ImageError> {
        Self::of_copy(called, spool::receive(stream, called, dirs)?)
    }

    fn of_copy(path: &Path, copy: Spooled) -> Result<Self, ImageError> {
        let file = copy.file.try_clone().map_err(ImageError::io("read", path))?;
        Self::archive(path, file, copy.len, Some(copy))
    }

    fn archive(path: &Path, file: File, len: u64, copy: Option<Spooled>) -> Result<Self, ImageError> {
        let refuse = |reason| ImageError::Import { path: path.to_owned(), reason };
        let found =
            entries(&file, 0, len).map_err(|source| ImageError::Archive { path: path.to_owned(), source })?;
        let mut members = HashMap::new();
        for entry in found {
            let Ok(name) = String::from_utf8(entry.path) else { continue };
            let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
            if Path::new(&name)
                .components()
                .any(|part| matches!(part, Component::ParentDir | Component::RootDir))
            {
                return Err(refuse(format!("its entry {name:?} leads out of it")));
            }
            let member = match entry.kind {
                EntryKind::File { offset, len } => Member::File { offset, len },
                EntryKind::Symlink(target) => Member::Link(beside(&name, &String::from_utf8_lossy(&target))),
                EntryKind::Hardlink(target) => Member::Link(beside("", &String::from_utf8_lossy(&target))),
                _ => continue,
            };
            // Of two, one reader would take the first and another the last.
            if members.insert(name.clone(), member).is_some() {
                return Err(refuse(format!("it has two entries {name:?}")));
            }
        }
        Ok(Self::Archive { path: path.to_owned(), file, members, _copy: copy })
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Directory(dir) => dir.join(name).is_file(),
            Self::Archive { members, .. } => members.contains_key(name),
        }
    }

    /// The content and length of a file, if it is there.
    pub(super) fn get(&self, name: &str) -> Result<Option<Opened<'_>>, ImageError> {
        match self {
            Self::Directory(dir) => {
                if !is_beneath(name) {
                    return Ok(None);
                }
                let path = dir.join(name);
                match open_regular(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    opened => {
                        let (file, len) = opened.map_err(ImageError::io("read", &path))?;
                        Ok(Some((Box::new(file), len)))
                    }
                }
            }
            Self::Archive { path, file, members, .. } => {
                let section = |offset: u64, len: u64| -> Opened<'_> {
                    (Box::new(Section { file, offset, left: len }), len)
                };
                match members.get(name) {
                    None => Ok(None),
                    Some(Member::File { offset, len }) => Ok(Some(section(*offset, *len))),
                    Some(Member::Link(target)) => match members.get(target) {
                        Some(Member::File { offset, len }) => Ok(Some(section(*offset, *len))),
                        _ => Err(ImageError::Import {
                            path: path.clone(),
                            reason: format!(
                                "{name} is a link to {target}, which is not a file of the archive"
                            ),
                        }),
                    },
                }
            }
        }
    }
}

/// Whether a name that a document gives stays in its directory.
fn is_beneath(name: &str) -> bool {
    Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The name of a link's target, which is relative to the link. It is only looked up among the archive's members.
fn beside(name: &str, target: &str) -> String {
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Opens a regular file; a named pipe would block, a device would never end.
fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    let metadata = fs::metadata(path)?;
    match metadata.is_file() {
        true => Ok((File::open(path)?, metadata.len())),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

struct Section<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(&mut buffer[..want], self.offset)?;
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_between_layers_is_followed_inside_the_archive() {
        assert_eq!(beside("b/layer.tar", "../a/layer.tar"), "a/layer.tar");
        assert_eq!(beside("b/layer.tar", "../../../../etc/passwd"), "etc/passwd");
        assert_eq!(beside("layer.tar", "./x"), "x");
    }
}
