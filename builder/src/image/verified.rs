//! Files whose content has been compared with a digest.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::digest::{Digest, Hashing};
use super::error::Fault;

/// Bytes that are read and hashed at a time.
const CHUNK: usize = 256 << 10;

/// An open file that had this digest when it was opened.
///
/// It stays open from the verification to the last use, so that replacing or removing the path in between
/// changes nothing. Two are equal when their content is.
#[derive(Debug)]
pub struct VerifiedFile {
    file: File,
    path: PathBuf,
    digest: Digest,
    len: u64,
}

impl PartialEq for VerifiedFile {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for VerifiedFile {}

/// Why a file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has other content.
    #[error("{0}")]
    Fault(Fault),
}

impl VerifiedFile {
    /// Opens the file, reads all of it, and compares.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or has another length (if one is given) or digest.
    pub fn open(path: &Path, digest: Digest, len: Option<u64>) -> Result<Self, VerifyError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(VerifyError::Fault(Fault::Missing));
            }
            opened => opened?,
        };
        let found = file.metadata()?.len();
        if let Some(expected) = len
            && expected != found
        {
            return Err(VerifyError::Fault(Fault::Size { found, expected }));
        }
        let mut reader = Hashing::new(&file);
        let mut chunk = vec![0; CHUNK];
        while reader.read(&mut chunk)? != 0 {}
        let (_, actual, len) = reader.finish();
        if actual != digest {
            return Err(VerifyError::Fault(Fault::Digest(actual)));
        }
        Ok(Self { file, path: path.to_owned(), digest, len })
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it was compared with.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills the buffer from this offset on.
    ///
    /// # Errors
    /// When the file ends before, or cannot be read.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Reads a stretch of it from the start.
    #[must_use]
    pub fn stretch(&self, offset: u64, len: u64) -> Stretch<'_> {
        Stretch { file: self, offset, left: len }
    }
}

/// A reader of a stretch of a [`VerifiedFile`]; fails rather than ending early.
#[derive(Debug)]
pub struct Stretch<'a> {
    file: &'a VerifiedFile,
    offset: u64,
    left: u64,
}

impl Read for Stretch<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.file.read_at(&mut buffer[..want], self.offset)?;
        if n == 0 && want != 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} became shorter while it was read", self.file.path.display()),
            ));
        }
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}
