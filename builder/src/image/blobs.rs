//! The cache's directory: names, locks, and files that are written whole or not at all.
//!
//! ```text
//! oci-layout index.json blobs/sha256/HEX   an OCI image layout
//! expanded/sha256/HEX                      compressed layers, expanded; named by diff id
//! initrd/HEX                               compressed parts of initrds
//! tmp/                                     being written, and locks for it; moved into place when complete
//! .lock                                    held while index.json is read, changed and replaced
//! .blobs.lock                              shared by who adds files, exclusive for who removes them
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use oci_spec::image::{Descriptor, MediaType};

use super::ImageError;
use super::digest::{Digest, Hashing};
use super::limits::MAX_DOCUMENT;
use super::removal::{Freed, remove_file};

/// The directories of a cache.
#[derive(Debug, Clone)]
pub(super) struct Directories {
    pub(super) root: PathBuf,
}

/// A lock that is held for as long as this lives; the kernel releases it when the process dies.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not used")] File);

impl Directories {
    /// Makes what is missing.
    pub(super) fn open(root: &Path) -> Result<Self, ImageError> {
        let root = std::path::absolute(root).map_err(ImageError::io("find", root))?;
        let this = Self { root };
        for dir in
            [this.root.join("blobs/sha256"), this.root.join("expanded/sha256"), this.segments(), this.tmp()]
        {
            fs::create_dir_all(&dir).map_err(ImageError::io("create the image cache's directory", &dir))?;
        }
        this.sweep()?;
        Ok(this)
    }

    pub(super) fn index(&self) -> PathBuf {
        self.root.join("index.json")
    }

    pub(super) fn header(&self) -> PathBuf {
        self.root.join("oci-layout")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub(super) fn blob(&self, digest: Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(super) fn all_expanded(&self) -> PathBuf {
        self.root.join("expanded/sha256")
    }

    pub(super) fn expanded(&self, diff_id: Digest) -> PathBuf {
        self.all_expanded().join(diff_id.hex())
    }

    pub(super) fn segments(&self) -> PathBuf {
        self.root.join("initrd")
    }

    fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// For changing `index.json`.
    pub(super) fn lock_index(&self) -> Result<Lock, ImageError> {
        self.lock(".lock", File::lock)
    }

    /// For adding files.
    pub(super) fn lock_adding(&self) -> Result<Lock, ImageError> {
        self.lock(".blobs.lock", File::lock_shared)
    }

    /// For removing files: nobody is adding any, and nobody is about to name what he has added.
    pub(super) fn lock_removing(&self) -> Result<Lock, ImageError> {
        self.lock(".blobs.lock", File::lock)
    }

    fn lock(&self, name: &str, lock: impl FnOnce(&File) -> io::Result<()>) -> Result<Lock, ImageError> {
        let path = self.root.join(name);
        let file = open_lock(&path).map_err(ImageError::io("open the lock", &path))?;
        lock(&file).map_err(ImageError::io("lock", &path))?;
        Ok(Lock(file))
    }

    /// For making one file, by the digest that it will have: whoever else wants it waits, and finds it made. `None` when
    /// somebody else was making it: then it is to be looked for again. The caller holds [`Self::lock_adding`], and no
    /// other lock of this kind.
    pub(super) fn lock_making(
        &self,
        digest: Digest,
        waits: &mut dyn FnMut(),
    ) -> Result<Option<Making>, ImageError> {
        let path = self.tmp().join(format!("making-{}", digest.hex()));
        let file = open_lock(&path).map_err(ImageError::io("open the lock", &path))?;
        match file.try_lock() {
            // Who had it before may have removed it since it was opened: then he has made the file.
            Ok(()) => Ok(is_at(&file, &path).then_some(Making { path, _lock: file })),
            Err(fs::TryLockError::Error(error)) => Err(ImageError::io("lock", &path)(error)),
            Err(fs::TryLockError::WouldBlock) => {
                waits();
                file.lock().map_err(ImageError::io("lock", &path))?;
                Ok(None)
            }
        }
    }

    /// Removes what killed writers left, unless somebody is writing now.
    fn sweep(&self) -> Result<(), ImageError> {
        let tmp = self.tmp();
        let mut left = fs::read_dir(&tmp).map_err(ImageError::io("read", &tmp))?.peekable();
        if left.peek().is_none() {
            return Ok(());
        }
        let path = self.root.join(".blobs.lock");
        let lock = open_lock(&path).map_err(ImageError::io("open the lock", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(()),
            Err(fs::TryLockError::Error(error)) => return Err(ImageError::io("lock", &path)(error)),
        }
        drop(left);
        self.remove_partial().map(drop)
    }

    /// Removes what killed writers left. The caller holds the lock for removing.
    pub(super) fn remove_partial(&self) -> Result<Freed, ImageError> {
        let tmp = self.tmp();
        let mut freed = Freed::default();
        for entry in fs::read_dir(&tmp).map_err(ImageError::io("read", &tmp))? {
            freed += remove_file(&entry.map_err(ImageError::io("read", &tmp))?.path())?;
        }
        Ok(freed)
    }

    /// A file that is not there until [`NewFile::publish`]. The caller holds [`Self::lock_adding`].
    pub(super) fn create(&self) -> Result<NewFile, ImageError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            // Process ids repeat, over time and between containers that share a cache; the clock tells those apart.
            let nanoseconds = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = self.tmp().join(format!("{}-{nanoseconds}-{count}", process::id()));
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(ImageError::io("create", &path)(error)),
                Ok(file) => return Ok(NewFile { file, path, published: false }),
            }
        }
    }

    /// Writes a small file whole or not at all. The caller holds [`Self::lock_adding`].
    pub(super) fn replace(&self, path: &Path, content: &[u8]) -> Result<(), ImageError> {
        let mut new = self.create()?;
        new.write_all(content).map_err(ImageError::io("write", path))?;
        new.publish(path)
    }

    /// Copies a blob into the cache and returns its digest. The caller holds [`Self::lock_adding`].
    pub(super) fn add_blob(&self, content: &mut dyn Read, limit: u64) -> Result<(Digest, u64), ImageError> {
        let mut new = Hashing::new(self.create()?);
        io::copy(&mut content.take(limit.saturating_add(1)), &mut new)
            .map_err(ImageError::io("copy a blob into", &self.blobs()))?;
        let (new, digest, len) = new.finish();
        if len > limit {
            let error = io::Error::other(format!("it has more than {limit} bytes"));
            return Err(ImageError::io("copy a blob into", &self.blobs())(error));
        }
        new.publish(&self.blob(digest))?;
        Ok((digest, len))
    }

    /// Writes a document of ours as a blob, and describes it.
    pub(super) fn add_document(&self, kind: MediaType, bytes: &[u8]) -> Result<Descriptor, ImageError> {
        let (digest, len) = self.add_blob(&mut &*bytes, MAX_DOCUMENT)?;
        let digest = digest.to_string().parse::<oci_spec::image::Digest>();
        let digest =
            digest.map_err(|error| ImageError::io("name", &self.blobs())(io::Error::other(error)))?;
        Ok(Descriptor::new(kind, len, digest))
    }

    /// Copies a blob if it has this digest and size; returns the digest that it has. The caller holds
    /// [`Self::lock_adding`].
    pub(super) fn add_blob_as(
        &self,
        content: &mut dyn Read,
        digest: Digest,
        size: u64,
    ) -> Result<Digest, ImageError> {
        let mut new = Hashing::new(self.create()?);
        let path = self.blob(digest);
        io::copy(&mut content.take(size), &mut new).map_err(ImageError::io("copy a blob to", &path))?;
        let (new, actual, _) = new.finish();
        if actual == digest {
            new.publish(&path)?;
        }
        Ok(actual)
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

/// The sole right to make a file. The kernel releases it when the process dies; the lock's file is swept then.
#[derive(Debug)]
pub(super) struct Making {
    path: PathBuf,
    _lock: File,
}

impl Drop for Making {
    fn drop(&mut self) {
        // Before the lock is released, so that who has waited sees that it is over. What stays is swept.
        drop(fs::remove_file(&self.path));
    }
}

/// Whether an open file is still the one of this name.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(now)) => (ours.dev(), ours.ino()) == (now.dev(), now.ino()),
        _ => false,
    }
}

/// A file under a temporary name, removed when it is dropped unpublished.
#[derive(Debug)]
pub(super) struct NewFile {
    file: File,
    path: PathBuf,
    published: bool,
}

impl NewFile {
    /// The same file for reading by offset, while this lives.
    pub(super) fn reader(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Makes it durable and gives it its name, replacing what was there.
    pub(super) fn publish(mut self, path: &Path) -> Result<(), ImageError> {
        self.file.sync_all().map_err(ImageError::io("write", path))?;
        fs::rename(&self.path, path).map_err(ImageError::io("rename a new file to", path))?;
        self.published = true;
        let parent = path.parent().unwrap_or(Path::new("."));
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(ImageError::io("sync", parent))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: the next sweep removes what stays.
            drop(fs::remove_file(&self.path));
        }
    }
}
