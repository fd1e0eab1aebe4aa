//! A store beside the images for what is expensive to make from them: compressed parts of initrds.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use super::{Cache, Digest, ImageError};

/// Most bytes of segments that are kept; the longest unused go first.
const MAX_KEPT: u64 = 4 << 30;
/// The digest of a segment's bytes, after them.
const TRAILER: usize = 32;

impl Cache {
    /// What was stored under this key, if it is there and undamaged.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn segment(&self, key: Digest) -> Result<Option<Vec<u8>>, ImageError> {
        let path = self.dirs.segments().join(key.hex());
        let mut bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(ImageError::io("read", &path))?,
        };
        let Some(len) = bytes.len().checked_sub(TRAILER) else { return Ok(None) };
        let trailer = bytes.split_off(len);
        if trailer != Digest::of(&bytes).bytes() {
            return Ok(None);
        }
        // Marks it as used; on a read-only cache there is nothing to keep tidy either.
        drop(File::open(&path).and_then(|file| file.set_modified(SystemTime::now())));
        Ok(Some(bytes))
    }

    /// Stores bytes under a key, and drops the longest unused when there are too many.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn store_segment(&self, key: Digest, bytes: &[u8]) -> Result<(), ImageError> {
        let _adding = self.dirs.lock_adding()?;
        let path = self.dirs.segments().join(key.hex());
        let mut new = self.dirs.create()?;
        new.write_all(bytes)
            .and_then(|()| new.write_all(Digest::of(bytes).bytes()))
            .map_err(ImageError::io("write", &path))?;
        new.publish(&path)?;
        prune(&self.dirs.segments(), MAX_KEPT)
    }
}

fn prune(dir: &Path, limit: u64) -> Result<(), ImageError> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(dir).map_err(ImageError::io("read", dir))? {
        let entry = entry.map_err(ImageError::io("read", dir))?;
        // Another process may be pruning too.
        let Ok(metadata) = entry.metadata() else { continue };
        let used = metadata.modified().map_err(ImageError::io("read", dir))?;
        kept.push((used, metadata.len(), entry.path()));
    }
    kept.sort_by(|a, b| b.cmp(a));
    let mut sum = 0_u64;
    for (_, len, path) in kept {
        sum = sum.saturating_add(len);
        if sum > limit {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ImageError::io("remove", &path)(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_comes_back_as_it_was_stored_and_a_damaged_one_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let key = Digest::of(b"key");
        assert_eq!(cache.segment(key).unwrap(), None);
        cache.store_segment(key, b"bytes").unwrap();
        assert_eq!(cache.segment(key).unwrap().unwrap(), b"bytes");

        let path = dir.path().join("initrd").join(key.hex());
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(cache.segment(key).unwrap(), None);
        fs::write(&path, b"short").unwrap();
        assert_eq!(cache.segment(key).unwrap(), None);
    }

    #[test]
    fn the_longest_unused_segments_go_first() {
        let dir = tempfile::tempdir().unwrap();
        for (name, age) in [("old", 300), ("middle", 200), ("new", 100)] {
            let path = dir.path().join(name);
            fs::write(&path, [0; 10]).unwrap();
            let time = SystemTime::now() - std::time::Duration::from_secs(age);
            File::open(&path).unwrap().set_modified(time).unwrap();
        }
        prune(dir.path(), 25).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["middle", "new"]);
    }
}
