//! What leaves the cache: names, and files that no name leads to.
//!
//! A name goes first, then what it named: whoever is killed in between leaves files without a name, which the next
//! removal takes away, never a name without files. Files go only while nobody adds any.

use std::collections::HashSet;
use std::fs;
use std::ops::AddAssign;
use std::path::Path;

use oci_spec::image::Descriptor;

use super::document::Documents;
use super::{Cache, Digest, ImageError, Reference, index};

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// Number of files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl AddAssign for Freed {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

impl Cache {
    /// Takes a name out of the cache with the signatures of what it named, and removes every file that no other name
    /// leads to. Says whether the name was there.
    ///
    /// # Errors
    /// When the index cannot be changed or a file cannot be removed.
    pub fn remove(&self, reference: &Reference) -> Result<bool, ImageError> {
        let _removing = self.dirs.lock_removing()?;
        let lock = self.dirs.lock_index()?;
        let (removed, mut kept): (Vec<_>, Vec<_>) = index::load(&self.dirs)?
            .into_iter()
            .partition(|entry| index::reference(entry).as_ref() == Some(reference));
        if removed.is_empty() {
            return Ok(false);
        }
        self.drop_signatures(reference, &removed, &mut kept);
        index::store(&self.dirs, kept.clone())?;
        drop(lock);
        self.remove_all_but(&kept)?;
        Ok(true)
    }

    /// Removes every file of an image that no name leads to: what killed pulls and imports left, and what was replaced.
    /// Waits for those who are adding files.
    ///
    /// # Errors
    /// When the index cannot be read or a file cannot be removed.
    pub fn collect_garbage(&self) -> Result<Freed, ImageError> {
        let _removing = self.dirs.lock_removing()?;
        let entries = index::load(&self.dirs)?;
        let mut freed = self.dirs.remove_partial()?;
        freed += self.remove_all_but(&entries)?;
        Ok(freed)
    }

    /// Removes every image, and all that was made of them.
    ///
    /// # Errors
    /// When the index cannot be changed or a file cannot be removed.
    pub fn clean(&self) -> Result<Freed, ImageError> {
        let _removing = self.dirs.lock_removing()?;
        let lock = self.dirs.lock_index()?;
        index::store(&self.dirs, Vec::new())?;
        drop(lock);
        let mut freed = self.remove_all_but(&[])?;
        freed += remove_unused(&self.dirs.segments(), |_| false)?;
        Ok(freed)
    }

    /// The caller holds the lock for removing.
    fn remove_all_but(&self, entries: &[Descriptor]) -> Result<Freed, ImageError> {
        let used = self.used(entries)?;
        let mut freed = remove_unused(&self.dirs.blobs(), |digest| used.contains(&digest))?;
        freed += remove_unused(&self.dirs.all_expanded(), |digest| used.contains(&digest))?;
        Ok(freed)
    }

    /// Every blob and every diff id that these entries lead to. What cannot be read leads nowhere.
    fn used(&self, entries: &[Descriptor]) -> Result<HashSet<Digest>, ImageError> {
        let mut used = HashSet::new();
        for entry in entries {
            let name = index::name(entry).unwrap_or("without a name");
            let documents = Documents { dirs: &self.dirs, image: name };
            used.extend(documents.digest(entry, "manifest"));
            let children = match documents.manifests(entry) {
                Err(error @ ImageError::Io { .. }) => return Err(error),
                children => children.unwrap_or_default(),
            };
            for child in children {
                used.extend(documents.digest(&child, "manifest"));
                let manifest = match documents.manifest_alone(&child) {
                    Err(error @ ImageError::Io { .. }) => return Err(error),
                    Err(_) => continue,
                    Ok(manifest) => manifest,
                };
                used.extend(documents.digest(manifest.config(), "configuration"));
                for layer in manifest.layers() {
                    used.extend(documents.digest(layer, "layer"));
                }
                if let Ok(config) = documents.manifest(&child) {
                    used.extend(
                        config.config.rootfs().diff_ids().iter().filter_map(|id| id.parse::<Digest>().ok()),
                    );
                }
            }
        }
        Ok(used)
    }
}

/// Removes the files of a directory whose names are digests that are not in use.
fn remove_unused(dir: &Path, used: impl Fn(Digest) -> bool) -> Result<Freed, ImageError> {
    let mut freed = Freed::default();
    for entry in fs::read_dir(dir).map_err(ImageError::io("read", dir))? {
        let entry = entry.map_err(ImageError::io("read", dir))?;
        let digest =
            entry.file_name().to_str().and_then(|name| format!("sha256:{name}").parse::<Digest>().ok());
        if !digest.is_some_and(&used) {
            freed += remove_file(&entry.path())?;
        }
    }
    Ok(freed)
}

/// Removes one file.
pub(super) fn remove_file(path: &Path) -> Result<Freed, ImageError> {
    let bytes = fs::symlink_metadata(path).map_err(ImageError::io("read", path))?.len();
    fs::remove_file(path).map_err(ImageError::io("remove", path))?;
    Ok(Freed { files: 1, bytes })
}
