//! Bytes at offsets: a device, or an image in memory.

use std::fmt;
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::FileExt;

/// Something of a known size that can be read anywhere.
pub trait Image: fmt::Debug {
    /// In bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` with what is at `offset`.
    ///
    /// # Errors
    /// The system's, and [`ErrorKind::UnexpectedEof`] if the end comes first.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Error>;
}

/// `length` bytes at `offset`; none if they are not all within the image. The caller has a limit for `length`.
pub(super) fn read(image: &dyn Image, offset: u64, length: usize) -> Result<Option<Vec<u8>>, Error> {
    let within = offset.checked_add(length as u64).is_some_and(|end| end <= image.size());
    if !within {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    image.read_exact_at(&mut bytes, offset)?;
    Ok(Some(bytes))
}

impl Image for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        let bytes = self.get(start..end).ok_or(ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// An open device or file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) size: u64,
}

impl Image for Opened {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        self.file.read_exact_at(buffer, offset)
    }
}
