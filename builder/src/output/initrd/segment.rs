//! One segment: its archive, its compression, and its name in the cache.

use std::io::{self, Write};

use crate::image::{Cache, Digest, Hashing};
use crate::tree::{Content, Kind, display};

use super::super::{OutputError, cpio};
use super::method::Compression;
use super::plan::{Body, Entry, Segment};

/// Changes when the same entries shall become other bytes.
const VERSION: u32 = 5;

/// The compressed archive, from the cache when it is there.
pub(super) fn compressed(
    segment: &Segment<'_>,
    method: Compression,
    cache: &Cache,
) -> Result<Vec<u8>, OutputError> {
    let key = key(segment, method);
    if let Some(bytes) = cache.segment(key)? {
        return Ok(bytes);
    }
    let bytes = method.compress(size(segment), |out| archive(segment, out).map_err(Failure::Archive));
    let bytes = bytes.map_err(|failure| match failure {
        Failure::Archive(error) => error,
        Failure::Compress(source) => {
            OutputError::Io { action: "compress", path: "a part of the initrd".into(), source }
        }
    })?;
    cache.store_segment(key, &bytes)?;
    Ok(bytes)
}

/// Why a segment cannot be compressed.
enum Failure {
    Archive(OutputError),
    Compress(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Compress(error)
    }
}

/// Bytes of the archive.
fn size(segment: &Segment<'_>) -> u64 {
    segment.bytes + cpio::trailer_size()
}

/// Writes the uncompressed archive.
pub(super) fn archive(segment: &Segment<'_>, out: &mut dyn Write) -> Result<(), OutputError> {
    for entry in &segment.entries {
        write_entry(entry, out).map_err(|source| OutputError::Copy {
            path: display(entry.path),
            origin: entry.node.origin.to_string(),
            into: "the initrd".into(),
            source,
        })?;
    }
    cpio::trailer(out).map_err(|source| OutputError::Io {
        action: "compress",
        path: "a part of the initrd".into(),
        source,
    })
}

fn write_entry(entry: &Entry<'_>, out: &mut dyn Write) -> io::Result<()> {
    // The plan has refused what does not fit.
    let size = u32::try_from(entry.body.len()).map_err(io::Error::other)?;
    cpio::header(out, &header(entry), entry.path, size)?;
    match entry.body {
        Body::Empty => {}
        Body::File(content) => content.copy_to(out)?,
        Body::Symlink(target) => out.write_all(target)?,
    }
    cpio::pad(out, entry.body.len())
}

fn header(entry: &Entry<'_>) -> cpio::Header {
    let node = entry.node;
    let (kind, device) = match node.kind {
        Kind::Fifo => (0o010_000, (0, 0)),
        Kind::CharDevice { major, minor } => (0o020_000, (major, minor)),
        Kind::Directory => (0o040_000, (0, 0)),
        Kind::BlockDevice { major, minor } => (0o060_000, (major, minor)),
        Kind::File(_) | Kind::Hardlink(_) => (0o100_000, (0, 0)),
        Kind::Symlink(_) => (0o120_000, (0, 0)),
    };
    cpio::Header {
        inode: entry.inode,
        mode: kind | node.mode,
        uid: node.uid,
        gid: node.gid,
        links: entry.links,
        mtime: u32::try_from(node.mtime).unwrap_or(u32::MAX),
        device,
    }
}

/// The digest of everything that the compressed bytes follow from. Contents in the cache have been verified, so
/// where they are says what they are.
fn key(segment: &Segment<'_>, method: Compression) -> Digest {
    let mut key = Hashing::new(io::sink());
    let mut add = |bytes: &[u8]| {
        // A sink takes everything; lengths keep neighbours apart.
        drop(key.write_all(&(bytes.len() as u64).to_le_bytes()));
        drop(key.write_all(bytes));
    };
    add(&VERSION.to_le_bytes());
    add(&method.settings(size(segment)).map(u32::to_le_bytes).concat());
    for entry in &segment.entries {
        let header = header(entry);
        let (major, minor) = header.device;
        let numbers =
            [header.inode, header.mode, header.uid, header.gid, header.links, header.mtime, major, minor];
        add(&numbers.map(u32::to_le_bytes).concat());
        add(entry.path);
        match entry.body {
            Body::Empty => add(b"empty"),
            Body::Symlink(target) => add(&[b"link ", target].concat()),
            Body::File(Content::Bytes(bytes)) => add(&[b"bytes", &Digest::of(bytes).bytes()[..]].concat()),
            Body::File(Content::Stretch { file, offset, len }) => {
                let range = [offset.to_le_bytes(), len.to_le_bytes()].concat();
                add(&[b"range", &file.digest().bytes()[..], &range].concat());
            }
        }
    }
    key.finish().1
}
