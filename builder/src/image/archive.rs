//! The entries of a tar archive, read by offset: headers are interpreted, contents are only pointed at.
//!
//! The [`tar`] crate decodes the header blocks. Walking from one to the next is done here, because that crate
//! reads extension headers into memory whatever their size, and splits PAX records at newlines, which an
//! extended attribute such as `security.capability` may contain. Formats: POSIX.1-2024 pax, "ustar" and "pax
//! Header Block"; GNU tar manual, "Basic Tar Format".

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use tar::{EntryType, Header};

use super::VerifiedFile;
use super::limits::{MAX_ENTRIES, MAX_EXTENSION, MAX_METADATA, MAX_PATH, MAX_XATTR};

const BLOCK: u64 = 512;
const XATTR: &[u8] = b"SCHILY.xattr.";
/// First byte of a negative number in GNU's binary encoding; in a time, one before the epoch.
const NEGATIVE: u8 = 0xff;

/// What is read: a file, or a stretch of one.
pub trait ReadAt {
    /// Fills the buffer from this offset on.
    ///
    /// # Errors
    /// When it ends before, or cannot be read.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for VerifiedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        Self::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let stretch = start.checked_add(buffer.len()).and_then(|end| self.get(start..end));
        buffer.copy_from_slice(stretch.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// One entry, as the archive has it: the path is not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name as written.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since the epoch; times before it become 0.
    pub mtime: u64,
    /// Extended attributes, by full name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// First byte of the content, counted from the start of the file that holds the archive.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// Another name for the file with this name.
    Hardlink(Vec<u8>),
    /// A character device: major, minor.
    CharDevice(u32, u32),
    /// A block device: major, minor.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file cannot be read.
    #[error("cannot be read at byte {offset}: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The archive's structure is broken.
    #[error("is not a proper tar archive: {what} at byte {offset}")]
    Structure {
        /// Where.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// One entry cannot be used.
    #[error("entry {path:?}: {what}")]
    Entry {
        /// Name of the entry.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// There is more of something than any real archive has.
    #[error("has more than {limit} {what}")]
    TooMuch {
        /// Most that are accepted.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
}

/// Reads all entries of the archive that is `len` bytes from `start`.
///
/// # Errors
/// When the archive is broken, has an entry that cannot be kept (sparse files, unknown types), or exceeds a
/// limit of [`super::limits`].
pub fn entries<R: ReadAt + ?Sized>(reader: &R, start: u64, len: u64) -> Result<Vec<Entry>, ArchiveError> {
    entries_up_to(MAX_ENTRIES, reader, start, len)
}

fn entries_up_to<R: ReadAt + ?Sized>(
    most: usize,
    reader: &R,
    start: u64,
    len: u64,
) -> Result<Vec<Entry>, ArchiveError> {
    let end = start.checked_add(len).ok_or(ArchiveError::Structure { offset: start, what: "a length" })?;
    let mut walk = Walk { reader, offset: start, end, metadata: 0 };
    let mut entries = Vec::new();
    while let Some(entry) = walk.next_entry()? {
        if entries.len() == most {
            return Err(ArchiveError::TooMuch { limit: most as u64, what: "entries" });
        }
        entries.push(entry);
    }
    Ok(entries)
}

struct Walk<'a, R: ?Sized> {
    reader: &'a R,
    /// Of the next header block.
    offset: u64,
    end: u64,
    /// Bytes of names, targets and attributes so far.
    metadata: u64,
}

/// What extension headers said about the entry that follows them.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    sparse: bool,
}

impl<R: ReadAt + ?Sized> Walk<'_, R> {
    fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut extension = Extension::default();
        let mut extended = false;
        loop {
            let at = self.offset;
            let Some(header) = self.header()? else {
                return match extended {
                    true => Err(ArchiveError::Structure {
                        offset: at,
                        what: "an extension header without an entry",
                    }),
                    false => Ok(None),
                };
            };
            let size = numeric(&header.as_old().size)
                .ok_or(ArchiveError::Structure { offset: at, what: "a size that is no number" })?;
            match header.entry_type() {
                EntryType::GNULongName => extension.path = Some(until_nul(self.extension(size)?)),
                EntryType::GNULongLink => extension.link = Some(until_nul(self.extension(size)?)),
                EntryType::XHeader => {
                    let records = self.extension(size)?;
                    extension.read_pax(&records, at)?;
                }
                EntryType::XGlobalHeader => {
                    // Comments, in practice (git's commit id). Docker and containerd skip them too.
                    self.extension(size)?;
                    continue;
                }
                _ => return self.entry(&header, size, extension).map(Some),
            }
            extended = true;
        }
    }

    /// The next header block, or nothing at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        if self.offset == self.end {
            return Ok(None);
        }
        let at = self.offset;
        let mut header = Header::new_old();
        self.block(header.as_mut_bytes())?;
        if header.as_bytes().iter().all(|&byte| byte == 0) {
            // The archive ends with two blocks of zeros; some writers stop after one.
            let mut second = [0; BLOCK as usize];
            if self.offset < self.end {
                self.block(&mut second)?;
            }
            return match second.iter().all(|&byte| byte == 0) {
                true => Ok(None),
                false => {
                    Err(ArchiveError::Structure { offset: at, what: "a block of zeros between entries" })
                }
            };
        }
        match header.cksum() {
            Ok(sum) if sum == checksum(header.as_bytes()) => Ok(Some(header)),
            _ => Err(ArchiveError::Structure { offset: at, what: "a header with a wrong checksum" }),
        }
    }

    fn block(&mut self, block: &mut [u8; BLOCK as usize]) -> Result<(), ArchiveError> {
        if self.end - self.offset < BLOCK {
            return Err(ArchiveError::Structure { offset: self.offset, what: "a truncated header" });
        }
        self.read(block, self.offset)?;
        self.offset += BLOCK;
        Ok(())
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), ArchiveError> {
        self.reader.read_exact_at(buffer, offset).map_err(|source| ArchiveError::Read { offset, source })
    }

    /// The content of an extension header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > MAX_EXTENSION {
            return Err(ArchiveError::TooMuch {
                limit: MAX_EXTENSION,
                what: "bytes in one extension header",
            });
        }
        let offset = self.skip(size)?;
        self.account(size)?;
        // Bounded by MAX_EXTENSION.
        let mut content = vec![0; usize::try_from(size).unwrap_or(0)];
        self.read(&mut content, offset)?;
        Ok(content)
    }

    /// Steps over a content; returns where it starts.
    fn skip(&mut self, size: u64) -> Result<u64, ArchiveError> {
        let start = self.offset;
        let past = size
            .checked_next_multiple_of(BLOCK)
            .and_then(|padded| start.checked_add(padded))
            // The last content of an archive without end marks need not be padded.
            .map(|past| if past > self.end && start + size == self.end { self.end } else { past })
            .filter(|&past| past <= self.end)
            .ok_or(ArchiveError::Structure {
                offset: start,
                what: "a content that ends after the archive",
            })?;
        self.offset = past;
        Ok(start)
    }

    fn account(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.metadata = self.metadata.saturating_add(bytes);
        if self.metadata > MAX_METADATA {
            return Err(ArchiveError::TooMuch { limit: MAX_METADATA, what: "bytes of names and attributes" });
        }
        Ok(())
    }

    fn entry(&mut self, header: &Header, size: u64, extension: Extension) -> Result<Entry, ArchiveError> {
        let path = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let bad =
            |what: String| ArchiveError::Entry { path: String::from_utf8_lossy(&path).into_owned(), what };
        if extension.sparse || header.entry_type() == EntryType::GNUSparse {
            return Err(bad(
                "sparse files are not supported; store it without holes (tar without --sparse)".into()
            ));
        }
        if path.len() > MAX_PATH || path.contains(&0) {
            return Err(bad(format!("the name has a NUL or more than {MAX_PATH} bytes")));
        }
        let link = || {
            let link = extension
                .link
                .clone()
                .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
                .filter(|link| !link.is_empty())
                .ok_or_else(|| bad("a link without a target".into()))?;
            match link.len() > MAX_PATH || link.contains(&0) {
                true => Err(bad(format!("the link's target has a NUL or more than {MAX_PATH} bytes"))),
                false => Ok(link),
            }
        };
        let device = || match (header.device_major(), header.device_minor()) {
            (Ok(Some(major)), Ok(Some(minor))) => Ok((major, minor)),
            _ => Err(bad("a device without proper numbers".into())),
        };
        let kind = match header.entry_type() {
            // Before POSIX, a directory was a file whose name ends with a slash.
            EntryType::Directory => EntryKind::Directory,
            EntryType::Regular if path.ends_with(b"/") => EntryKind::Directory,
            EntryType::Regular | EntryType::Continuous => {
                EntryKind::File { offset: self.offset, len: extension.size.unwrap_or(size) }
            }
            EntryType::Symlink => EntryKind::Symlink(link()?),
            EntryType::Link => EntryKind::Hardlink(link()?),
            EntryType::Char => device().map(|(major, minor)| EntryKind::CharDevice(major, minor))?,
            EntryType::Block => device().map(|(major, minor)| EntryKind::BlockDevice(major, minor))?,
            EntryType::Fifo => EntryKind::Fifo,
            other => return Err(bad(format!("unknown entry type {:?}", char::from(other.as_byte())))),
        };
        let fields = header.as_old();
        let id = |pax: Option<u64>, own: &[u8], what: &str| {
            let id = pax.or_else(|| numeric(own)).ok_or_else(|| bad(format!("its {what} is no number")))?;
            u32::try_from(id).map_err(|_| bad(format!("its {what}, {id}, does not fit in 32 bits")))
        };
        let uid = id(extension.uid, &fields.uid, "owner")?;
        let gid = id(extension.gid, &fields.gid, "group")?;
        let mode = numeric(&fields.mode).ok_or_else(|| bad("its mode is no number".into()))? & 0o7777;
        let mtime = match extension.mtime {
            Some(mtime) => mtime,
            None if fields.mtime[0] == NEGATIVE => 0,
            None => numeric(&fields.mtime).ok_or_else(|| bad("its modification time is no number".into()))?,
        };
        for (name, value) in &extension.xattrs {
            if name.is_empty() || name.contains(&0) || name.len() > MAX_XATTR.0 || value.len() > MAX_XATTR.1 {
                return Err(bad("an extended attribute has no name, or is larger than Linux allows".into()));
            }
        }
        let bytes = path.len() + link_len(&kind);
        // Links, devices and directories have no content, whatever their size field says: Go's archive/tar, and so
        // Docker and containerd, reads them so.
        if let EntryKind::File { len, .. } = &kind {
            let len = *len;
            self.skip(len).map_err(|_| bad(format!("its {len} bytes end after the archive does")))?;
        }
        self.account(bytes as u64)?;
        // 12 bits are left.
        let mode = mode as u32;
        Ok(Entry { path, kind, mode, uid, gid, mtime, xattrs: extension.xattrs })
    }
}

impl Extension {
    /// Records are `LENGTH KEY=VALUE\n`, LENGTH counting all of it; values may hold any byte.
    fn read_pax(&mut self, mut records: &[u8], at: u64) -> Result<(), ArchiveError> {
        let bad = || ArchiveError::Structure { offset: at, what: "a bad PAX header" };
        while !records.is_empty() {
            let space = records.iter().position(|&byte| byte == b' ').ok_or_else(bad)?;
            let len: usize = number(records.get(..space).ok_or_else(bad)?).ok_or_else(bad)?;
            let record = records.get(space + 1..len).ok_or_else(bad)?;
            let (b'\n', record) = record.split_last().ok_or_else(bad)? else { return Err(bad()) };
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(bad)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            self.set(key, value).ok_or_else(bad)?;
            records = &records[len..];
        }
        Ok(())
    }

    /// An empty value takes a key back (pax, "pax Extended Header Keyword Precedence").
    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let text = (!value.is_empty()).then(|| value.to_vec());
        let integer = match value {
            [] => Some(None),
            digits => number(digits).map(Some),
        };
        match key {
            b"path" => self.path = text,
            b"linkpath" => self.link = text,
            b"size" => self.size = integer?,
            b"uid" => self.uid = integer?,
            b"gid" => self.gid = integer?,
            b"mtime" => {
                self.mtime = match value {
                    [] => None,
                    [b'-', ..] => Some(0),
                    decimal => Some(number(decimal.split(|&byte| byte == b'.').next()?)?),
                }
            }
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    self.xattrs.insert(name.to_vec(), value.to_vec());
                }
            }
        }
        Some(())
    }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// A number in a header: octal digits between spaces and NULs, or, with the highest bit set, binary (GNU).
fn numeric(field: &[u8]) -> Option<u64> {
    match field {
        [NEGATIVE, ..] => None,
        [first, rest @ ..] if first & 0x80 != 0 => {
            rest.iter().try_fold(u64::from(first & 0x7f), |value, &byte| {
                value.checked_mul(256).map(|value| value | u64::from(byte))
            })
        }
        _ => {
            let start = field.iter().position(|&byte| !matches!(byte, b' ' | 0)).unwrap_or(field.len());
            let digits = field[start..].split(|byte| matches!(byte, b' ' | 0)).next()?;
            digits.iter().try_fold(0_u64, |value, &byte| match byte {
                b'0'..=b'7' => value.checked_mul(8).map(|value| value | u64::from(byte - b'0')),
                _ => None,
            })
        }
    }
}

fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    name.truncate(len);
    name
}

fn link_len(kind: &EntryKind) -> usize {
    match kind {
        EntryKind::Symlink(target) | EntryKind::Hardlink(target) => target.len(),
        _ => 0,
    }
}

/// The sum of all bytes, the checksum field counting as spaces.
fn checksum(header: &[u8; BLOCK as usize]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    sum(&header[..148]) + 8 * u32::from(b' ') + sum(&header[156..])
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Layer;
    use super::*;

    #[test]
    fn more_entries_than_any_real_layer_has_are_refused() {
        let archive = (0..11).fold(Layer::default(), |layer, _| layer.file("a", "")).finish();
        let read = |most| entries_up_to(most, &archive[..], 0, archive.len() as u64);
        assert_eq!(read(11).unwrap().len(), 11);
        assert_eq!(read(10).unwrap_err().to_string(), "has more than 10 entries");
    }
}
