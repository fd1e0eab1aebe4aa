//! `gcp`: the archive that Google Compute Engine imports as an image.
//!
//! Source: Compute Engine's documentation, "Manually import boot disks", "Create the compressed image file": a tar
//! archive in the old GNU format, compressed by gzip, with one file `disk.raw` of whole gibibytes.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use ::tar::Header;
use flate2::{Compression, GzBuilder};

use super::convert::{self, ConvertError};
use super::sparse::Chunks;
use super::{Format, Job, OutputError, member};

/// `NAME.img.tar.gz`.
#[derive(Debug, Clone, Copy)]
pub struct Gcp;

const NAME: &str = "gcp";
const DISK: &str = "disk.raw";
const UNIT: u64 = 1 << 30;
/// The largest disk that Compute Engine has.
const MAX_DISK: u64 = 64 << 40;
const CHUNK: usize = 64 << 10;

impl Format for Gcp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.img.tar.gz")]
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let size = convert::whole(NAME, job.settings.size, UNIT)?;
        convert::bios_disk(NAME, job, size, &format!("{}.img.tar.gz", job.name), write)
    }
}

/// Writes the disk `raw` as such an archive over `out`. The same disk makes the same bytes: gzip's header (RFC 1952,
/// "Member header and trailer") gets neither a name nor a time.
fn write(raw: &mut File, out: &mut File) -> Result<(), ConvertError> {
    let size = convert::size_of(raw, MAX_DISK)?;
    let header = member::header(Header::new_gnu(), DISK, size).map_err(ConvertError::Write)?;
    out.set_len(0).and_then(|()| out.rewind()).map_err(ConvertError::Write)?;
    // The fastest level: what is in the disk is compressed, and of zeros a gibibyte takes 0.2 s instead of 2.
    let mut gzip = GzBuilder::new().write(BufWriter::with_capacity(1 << 20, out), Compression::fast());
    gzip.write_all(header.as_bytes()).map_err(ConvertError::Write)?;
    let mut position = 0;
    let mut chunks = Chunks::of(raw, size, CHUNK);
    while let Some((number, bytes)) = chunks.advance().map_err(ConvertError::Read)? {
        let start = number * CHUNK as u64;
        let filled = (size - start).min(CHUNK as u64) as usize;
        zeros(&mut gzip, start - position)
            .and_then(|()| gzip.write_all(&bytes[..filled]))
            .map_err(ConvertError::Write)?;
        position = start + filled as u64;
    }
    zeros(&mut gzip, size - position)
        .and_then(|()| gzip.write_all(member::padding(size)))
        .and_then(|()| gzip.write_all(&member::END))
        .and_then(|()| gzip.finish()?.flush())
        .map_err(ConvertError::Write)
}

fn zeros(out: &mut dyn Write, mut len: u64) -> io::Result<()> {
    let zeros = [0; CHUNK];
    while len > 0 {
        let now = len.min(CHUNK as u64);
        out.write_all(&zeros[..now as usize])?;
        len -= now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::convert::fixture::{Pieces, disk};
    use super::*;
    use crate::tree::GENERATED_MTIME;
    use flate2::read::GzDecoder;
    use std::io::Read;

    /// Writes a disk twice, and returns the archive and the disk that is in it.
    fn check(size: u64, content: Pieces<'_>) -> (Vec<u8>, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let mut raw = disk(&dir.path().join("disk"), size, content);
        let [one, two] = [(); 2].map(|()| {
            let mut out = tempfile::tempfile().unwrap();
            write(&mut raw, &mut out).unwrap();
            let mut bytes = Vec::new();
            out.rewind().unwrap();
            out.read_to_end(&mut bytes).unwrap();
            bytes
        });
        assert!(one == two, "two writes differ");
        let mut archive = ::tar::Archive::new(GzDecoder::new(&one[..]));
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path_bytes(), DISK.as_bytes());
        let header = entry.header();
        assert_eq!(&header.as_bytes()[257..265], b"ustar  \0", "the old GNU format");
        assert_eq!((header.size().unwrap(), header.mode().unwrap()), (size, 0o644));
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), GENERATED_MTIME);
        let mut found = Vec::new();
        entry.read_to_end(&mut found).unwrap();
        drop(entry);
        assert!(entries.next().is_none(), "one file only");
        (one, found)
    }

    #[test]
    fn the_one_file_is_the_disk() {
        let (_, found) = check(10 << 20, &[(3, b"start"), (5 << 20, b"middle"), ((10 << 20) - 3, b"end")]);
        let mut expected = vec![0; 10 << 20];
        expected[3..8].copy_from_slice(b"start");
        expected[5 << 20..][..6].copy_from_slice(b"middle");
        expected[(10 << 20) - 3..].copy_from_slice(b"end");
        assert!(found == expected);
    }

    #[test]
    fn a_disk_of_zeros_is_small_and_gzip_says_nothing_of_when_and_how() {
        let (archive, found) = check(64 << 20, &[]);
        assert_eq!(found.len(), 64 << 20);
        assert!(archive.len() < 512 << 10, "{} bytes", archive.len());
        assert_eq!(archive[..8], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0], "deflate; no name; no time");
    }

    #[test]
    fn a_disk_that_is_no_whole_number_of_chunks_or_blocks_is_padded() {
        let (_, found) = check((1 << 20) + 100, &[(1 << 20, &[7; 100])]);
        assert_eq!(found[1 << 20..], [7; 100]);
    }
}
