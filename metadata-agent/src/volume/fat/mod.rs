//! FAT12, FAT16 and FAT32 with long names (Microsoft's "FAT32 File System Specification" 1.03).

mod directory;
mod geometry;

use super::image::Image;
use super::{Fault, FileSystem};
use directory::Entry;
use geometry::Geometry;

/// Largest directory, in bytes: the format's own limit for one is twice that.
const MAX_DIRECTORY: usize = 1024 * 1024;

/// One volume.
#[derive(Debug)]
struct Fat {
    label: String,
    geometry: Geometry,
}

/// Recognises a FAT volume.
///
/// # Errors
/// [`Fault`] if there is one that can't be read.
pub fn open(image: &dyn Image) -> Result<Option<Box<dyn FileSystem>>, Fault> {
    let Some((geometry, label)) = geometry::read(image)? else { return Ok(None) };
    let root = geometry.chain(image, geometry.root(), MAX_DIRECTORY)?;
    // The root directory's label is the one that gets changed; the boot sector's is of the day it was made.
    let label = directory::label(&root).unwrap_or(label);
    Ok(Some(Box::new(Fat { label, geometry })))
}

impl FileSystem for Fat {
    fn label(&self) -> &str {
        &self.label
    }

    fn read(&self, image: &dyn Image, path: &[&str], limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        let mut at = Entry { directory: true, start: self.geometry.root(), size: 0 };
        for component in path {
            if !at.directory {
                return Err(Fault::Kind);
            }
            let bytes = self.geometry.chain(image, at.start, MAX_DIRECTORY)?;
            let Some(entry) = directory::find(&bytes, component) else { return Ok(None) };
            at = entry;
        }
        if at.directory {
            return Err(Fault::Kind);
        }
        let size = at.size as usize;
        if size > limit {
            return Err(Fault::TooLarge(limit));
        }
        if size == 0 {
            return Ok(Some(Vec::new())); // and no cluster
        }
        let mut bytes = self.geometry.chain(image, at.start, size)?;
        if bytes.len() < size {
            return Err(Fault::Damaged("a file ends before its size"));
        }
        bytes.truncate(size);
        Ok(Some(bytes))
    }
}
