//! `--disk [file=]PATH[,size=1G][,format=qcow2|raw]`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use crate::size::{Size, SizeError};

/// How a disk's content is stored in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// QEMU's own format.
    Qcow2,
    /// The bytes of the disk.
    Raw,
    /// VMware's; known by its name, `.vmdk`.
    Vmdk,
    /// Microsoft's, of either kind; known by its name, `.vhd`.
    Vhd,
    /// Microsoft's newer one; known by its name, `.vhdx`.
    Vhdx,
}

impl Format {
    /// Its name, as QEMU and `--disk` spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vpc",
            Self::Vhdx => "vhdx",
        }
    }

    /// The format that a file's name is plain about.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "raw" => Some(Self::Raw),
            "qcow2" => Some(Self::Qcow2),
            "vmdk" => Some(Self::Vmdk),
            "vhd" => Some(Self::Vhd),
            "vhdx" => Some(Self::Vhdx),
            _ => None,
        }
    }

    /// The format that a file's first bytes tell.
    #[must_use]
    pub fn of_content(start: &[u8]) -> Self {
        if start.starts_with(b"QFI\xFB") { Self::Qcow2 } else { Self::Raw }
    }
}

/// A data disk, as asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskRequest {
    /// Its file; without one it lies in the state directory.
    pub path: Option<PathBuf>,
    /// Its size when it must be made.
    pub size: Option<Size>,
    /// Its format; without one it is told by the file, and a new disk is qcow2.
    pub format: Option<Format>,
}

/// Why a `--disk` is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DiskError {
    /// Not one of the keys.
    #[error("unknown key {0:?}: a disk is [file=]PATH[,size=1G][,format=qcow2|raw]")]
    Key(String),
    /// A key or the path came twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// Not a size.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// Not a format.
    #[error("unknown format {0:?}: qcow2 and raw are possible")]
    Format(String),
    /// Nothing is said.
    #[error("a disk needs a path or a size: [file=]PATH[,size=1G][,format=qcow2|raw]")]
    Empty,
}

impl FromStr for DiskRequest {
    type Err = DiskError;

    fn from_str(text: &str) -> Result<Self, DiskError> {
        let mut request = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or(("file", part));
            match key {
                "file" if value.is_empty() => return Err(DiskError::Empty),
                "file" => set(&mut request.path, "the path", PathBuf::from(value))?,
                "size" => set(&mut request.size, "size=", value.parse()?)?,
                "format" => {
                    let format = match value {
                        "qcow2" => Format::Qcow2,
                        "raw" => Format::Raw,
                        _ => return Err(DiskError::Format(value.to_owned())),
                    };
                    set(&mut request.format, "format=", format)?;
                }
                _ => return Err(DiskError::Key(key.to_owned())),
            }
        }
        if request.path.is_none() && request.size.is_none() {
            return Err(DiskError::Empty);
        }
        Ok(request)
    }
}

fn set<T>(slot: &mut Option<T>, what: &'static str, value: T) -> Result<(), DiskError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(DiskError::Twice(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_read_as_linuxkit_writes_them() {
        let size = Some(Size::mebibytes(512));
        for (text, path, size, format) in [
            ("data.img", Some("data.img"), None, None),
            ("file=data.img", Some("data.img"), None, None),
            ("data.img,size=512M", Some("data.img"), size, None),
            ("size=512M", None, size, None),
            ("size=512M,format=raw,file=a", Some("a"), size, Some(Format::Raw)),
            ("a,format=qcow2", Some("a"), None, Some(Format::Qcow2)),
        ] {
            let expected = DiskRequest { path: path.map(PathBuf::from), size, format };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        for text in [
            "",
            ",",
            "file=",
            "format=raw",
            "a,b",
            "a,size=x",
            "a,format=vmdk",
            "a,cache=none",
            "size=1G,size=2G",
        ] {
            assert!(text.parse::<DiskRequest>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_bytes_tell_the_format() {
        assert_eq!(Format::of_content(b"QFI\xFB\0\0\0\x03"), Format::Qcow2);
        assert_eq!(Format::of_content(b""), Format::Raw);
    }
}
