//! One segment: its archive, its compression, and its name in the cache.

use std::io::{self, Write};

use crate::image::{Cache, Digest, Hashing};
use crate::tree::{Content, Kind, display};

use super::super::{OutputError, cpio};
use super::plan::{Body, Entry, Segment};

/// Beyond this level bytes are dear. The LDAP example: 11 makes 59.77 MB and 12 59.75 MB, a tenth slower; when it had 180 MB,
/// 12 made 66.8 MB in 5 s on two cores, 15 made 66.2 MB in 16 s, 17 made 63.2 MB in 37 s.
const LEVEL: i32 = 11;
/// How far back it looks for repetitions, as a power of two: half of the segment, but at most 64 MiB. While it unpacks, the
/// kernel needs so much memory beside the files, which decides how little a machine can boot with; it allows 128 MiB (Linux,
/// lib/decompress_unzstd.c, `ZSTD_WINDOWSIZE_MAX`). The LDAP example: all of the segment makes 55.6 MB, half of it
/// 57.3 MB, a quarter 60.0 MB, with one segment for each image.
const WINDOW_LOG: std::ops::RangeInclusive<u32> = 20..=26;
/// Changes when the same entries shall become other bytes.
const VERSION: u32 = 4;

/// The compressed archive, from the cache when it is there.
pub(super) fn compressed(segment: &Segment<'_>, cache: &Cache) -> Result<Vec<u8>, OutputError> {
    let key = key(segment);
    if let Some(bytes) = cache.segment(key)? {
        return Ok(bytes);
    }
    let bytes = compress(segment)?;
    cache.store_segment(key, &bytes)?;
    Ok(bytes)
}

fn compress(segment: &Segment<'_>) -> Result<Vec<u8>, OutputError> {
    let failed = |source| OutputError::Io { action: "compress", path: "a part of the initrd".into(), source };
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).map_err(failed)?;
    let size = segment.bytes + cpio::trailer_size();
    encoder.window_log(window_log(size)).map_err(failed)?;
    encoder.long_distance_matching(true).map_err(failed)?;
    // The kernel then sees when a boot loader has read it wrong.
    encoder.include_checksum(true).map_err(failed)?;
    encoder.set_pledged_src_size(Some(size)).map_err(failed)?;
    archive(segment, &mut encoder)?;
    encoder.finish().map_err(failed)
}

fn window_log(size: u64) -> u32 {
    let half = size.next_power_of_two().trailing_zeros().saturating_sub(1);
    half.clamp(*WINDOW_LOG.start(), *WINDOW_LOG.end())
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
fn key(segment: &Segment<'_>) -> Digest {
    let mut key = Hashing::new(io::sink());
    let window = window_log(segment.bytes + cpio::trailer_size());
    let settings = [VERSION, LEVEL.unsigned_abs(), window, zstd::zstd_safe::version_number()];
    let mut add = |bytes: &[u8]| {
        // A sink takes everything; lengths keep neighbours apart.
        drop(key.write_all(&(bytes.len() as u64).to_le_bytes()));
        drop(key.write_all(bytes));
    };
    add(&settings.map(u32::to_le_bytes).concat());
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
