//! Layers applied to a tree (OCI image-spec, layer.md).

use std::sync::Arc;

use crate::image::{ArchiveError, Entry, EntryKind, VerifiedFile, entries};

use super::path::parts;
use super::{Content, Kind, Node, Origin, Tree, TreeError, TreePath, clean, join, split};

/// Prefix of a file that says that another one is gone.
const WHITEOUT: &[u8] = b".wh.";
/// The file that says that everything that lower layers have in its directory is gone.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Prefix of what AUFS kept for itself; neither files nor whiteouts.
const AUFS: &[u8] = b".wh..wh.";

/// Why a layer cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// It is no proper archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// One of its entries cannot be applied.
    #[error("entry {name:?}: {source}")]
    Entry {
        /// The entry's name.
        name: String,
        /// Why.
        source: TreeError,
    },
    /// A whiteout that hides nothing that can be named.
    #[error("entry {name:?} is a whiteout without a proper name")]
    Whiteout {
        /// The entry's name.
        name: String,
    },
}

/// What an entry's name asks for.
enum Asks {
    /// Something is there.
    Is(TreePath),
    /// What lower layers have at this path is gone.
    Hides(TreePath),
    /// What lower layers have in this directory is gone.
    HidesAllIn(TreePath),
    /// Nothing.
    Nothing,
}

impl Tree {
    /// Applies one layer: `len` bytes from `start` of a verified file are an uncompressed tar archive.
    ///
    /// # Errors
    /// When the archive is broken or exceeds a limit, or an entry cannot be applied: its name leads out of the
    /// tree, a file is where it needs a directory, or it is a hard link to nothing.
    pub fn apply(
        &mut self,
        file: &Arc<VerifiedFile>,
        start: u64,
        len: u64,
        origin: &Arc<Origin>,
    ) -> Result<(), LayerError> {
        let stretch = |offset, len| Content::Stretch { file: Arc::clone(file), offset, len };
        self.apply_entries(entries(file.as_ref(), start, len)?, &stretch, origin)
    }

    /// Applies entries of an archive; `content` makes the contents from their offsets and lengths.
    pub(super) fn apply_entries(
        &mut self,
        entries: Vec<Entry>,
        content: &dyn Fn(u64, u64) -> Content,
        origin: &Arc<Origin>,
    ) -> Result<(), LayerError> {
        // Whiteouts are about lower layers only, wherever in the archive they stand, so they go first.
        let mut present = Vec::new();
        for entry in entries {
            let name = || String::from_utf8_lossy(&entry.path).into_owned();
            let failed = |source| LayerError::Entry { name: name(), source };
            match asks(&entry.path).map_err(|source| failed(source.into()))? {
                Some(Asks::Is(path)) => present.push((path, entry)),
                Some(Asks::Hides(path)) => {
                    if let Some(path) = self.in_lower(&path).map_err(failed)? {
                        self.remove(&path);
                    }
                }
                Some(Asks::HidesAllIn(path)) => {
                    let directory = self.resolve(&path).map_err(failed)?;
                    let names: Vec<TreePath> = self.below(&directory).map(|(path, _)| path.clone()).collect();
                    for path in names {
                        self.remove(&path);
                    }
                }
                Some(Asks::Nothing) => {}
                None => return Err(LayerError::Whiteout { name: name() }),
            }
        }
        for (path, entry) in present {
            let name = String::from_utf8_lossy(&entry.path).into_owned();
            node(entry, content, origin)
                .and_then(|node| self.insert(&path, node))
                .map_err(|source| LayerError::Entry { name, source })?;
        }
        Ok(())
    }

    /// Where a whiteout's path is; nowhere when its directory is none.
    fn in_lower(&self, path: &[u8]) -> Result<Option<TreePath>, TreeError> {
        match self.resolve_parent(path) {
            Err(TreeError::NotADirectory(_)) => Ok(None),
            resolved => resolved.map(Some),
        }
    }
}

/// Nothing when it is a whiteout without a proper name.
fn asks(name: &[u8]) -> Result<Option<Asks>, super::PathError> {
    let path = clean(name)?;
    if parts(&path).any(|part| part.starts_with(AUFS) && part != OPAQUE) {
        return Ok(Some(Asks::Nothing));
    }
    let (directory, last) = split(&path);
    if parts(directory).any(|part| part.starts_with(WHITEOUT)) {
        return Ok(None);
    }
    if last == OPAQUE {
        return Ok(Some(Asks::HidesAllIn(directory.to_vec())));
    }
    Ok(match last.strip_prefix(WHITEOUT) {
        None => Some(Asks::Is(path)),
        Some(b"" | b"." | b"..") => None,
        Some(hidden) => Some(Asks::Hides(join(directory, hidden))),
    })
}

fn node(
    entry: Entry,
    content: &dyn Fn(u64, u64) -> Content,
    origin: &Arc<Origin>,
) -> Result<Node, TreeError> {
    let kind = match entry.kind {
        EntryKind::Directory => Kind::Directory,
        EntryKind::File { offset, len } => Kind::File(content(offset, len)),
        EntryKind::Symlink(target) => Kind::Symlink(target),
        EntryKind::Hardlink(target) => Kind::Hardlink(clean(&target)?),
        EntryKind::CharDevice(major, minor) => Kind::CharDevice { major, minor },
        EntryKind::BlockDevice(major, minor) => Kind::BlockDevice { major, minor },
        EntryKind::Fifo => Kind::Fifo,
    };
    Ok(Node {
        kind,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime,
        xattrs: entry.xattrs,
        origin: Arc::clone(origin),
    })
}
