//! Archives that must be read by offset and cannot be: compressed ones, and streams. A copy is made first, which has no
//! name in the cache.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::ImageError;
use super::super::blobs::{Directories, NewFile};
use super::super::layer::{Compression, most_expanded};
use super::super::limits::MAX_ARCHIVE;

/// Bytes that are copied at a time.
const CHUNK: usize = 256 << 10;

/// The copy, expanded; removed with this value.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) file: File,
    pub(super) len: u64,
    _copy: NewFile,
}

/// Copies a stream, and expands it if it is compressed. The caller holds the lock for adding.
pub(super) fn receive(
    stream: &mut dyn Read,
    called: &Path,
    dirs: &Directories,
) -> Result<Spooled, ImageError> {
    let copy = copy(stream, MAX_ARCHIVE, called, dirs)?;
    let mut start = [0; 4];
    let n = usize::try_from(copy.len).unwrap_or(start.len()).min(start.len());
    copy.file.read_exact_at(&mut start[..n], 0).map_err(ImageError::io("read", called))?;
    match Compression::of(&start[..n]) {
        Compression::None => Ok(copy),
        compression => expand(&copy.file, copy.len, compression, called, dirs),
    }
}

/// Expands an archive. The caller holds the lock for adding.
pub(super) fn expand(
    file: &File,
    len: u64,
    compression: Compression,
    called: &Path,
    dirs: &Directories,
) -> Result<Spooled, ImageError> {
    let from = FromStart { file, offset: 0 };
    let mut expanded = compression.expand(from).map_err(ImageError::io("expand", called))?;
    copy(&mut expanded, most_expanded(len, MAX_ARCHIVE), called, dirs)
}

fn copy(from: &mut dyn Read, most: u64, called: &Path, dirs: &Directories) -> Result<Spooled, ImageError> {
    let mut copy = dirs.create()?;
    let mut chunk = vec![0; CHUNK];
    let mut len = 0;
    loop {
        let n = match from.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(ImageError::io("read", called))?,
        };
        if n == 0 {
            break;
        }
        len += n as u64;
        if len > most {
            let reason = format!("it has more than {most} bytes, compressed ones expanded");
            return Err(ImageError::Import { path: called.to_owned(), reason });
        }
        copy.write_all(&chunk[..n]).map_err(ImageError::io("copy into the cache", called))?;
    }
    let file = copy.reader().map_err(ImageError::io("read", called))?;
    Ok(Spooled { file, len, _copy: copy })
}

/// Reads without the file's own position, which copies of it share.
struct FromStart<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}
