//! The bytes of regular files.

use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::image::{Digest, Hashing, ReadAt, VerifiedFile};

/// The bytes of a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Held in memory; for what the builder makes itself.
    Bytes(Arc<[u8]>),
    /// A stretch of a verified, uncompressed file in the cache.
    Stretch {
        /// The file.
        file: Arc<VerifiedFile>,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
}

impl Content {
    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stretch { len, .. } => *len,
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads it from the start. Ending early is an error.
    #[must_use]
    pub fn reader(&self) -> Box<dyn Read + '_> {
        match self {
            Self::Bytes(bytes) => Box::new(&bytes[..]),
            Self::Stretch { file, offset, len } => Box::new(file.stretch(*offset, *len)),
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn copy_to(&self, writer: &mut (impl Write + ?Sized)) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => writer.write_all(bytes),
            Self::Stretch { .. } => {
                let mut chunk = vec![0; 256 << 10];
                let mut reader = self.reader();
                loop {
                    match reader.read(&mut chunk)? {
                        0 => return Ok(()),
                        n => writer.write_all(&chunk[..n])?,
                    }
                }
            }
        }
    }

    /// The digest of all of it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self) -> io::Result<Digest> {
        let mut hashing = Hashing::new(io::sink());
        self.copy_to(&mut hashing)?;
        Ok(hashing.finish().1)
    }

    /// All of it in memory.
    ///
    /// # Errors
    /// When it has more than `limit` bytes, or cannot be read.
    pub fn read_all(&self, limit: u64) -> io::Result<Vec<u8>> {
        if self.len() > limit {
            return Err(io::Error::other(format!("it has {} bytes, more than {limit}", self.len())));
        }
        let mut bytes = Vec::new();
        self.copy_to(&mut bytes)?;
        Ok(bytes)
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl ReadAt for Content {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => bytes.read_exact_at(buffer, at),
            Self::Stretch { file, offset, len } => {
                let end = at.checked_add(buffer.len() as u64).filter(|end| end <= len);
                end.ok_or(io::ErrorKind::UnexpectedEof)?;
                file.read_exact_at(buffer, offset + at)
            }
        }
    }
}
