//! Puts a tree of files into a directory. The only code of this crate that writes.
//!
//! The directory itself stays the same inode: containers bind it, and `/run/config` is another view of it. So the new
//! tree is built in a staging directory inside it (`.new-NUMBER`, which nobody else can look into), synced, and its
//! entries are swapped in by rename, each whole: a file replaces a file, a directory is exchanged for the one before
//! (`RENAME_EXCHANGE`). What of an earlier run nobody wants any more goes last. `provider` comes after everything else, so
//! whoever waits for it finds the rest complete.
//!
//! What the image itself put there stays, unless the new tree names the same file; so that the two can be told apart,
//! `.manifest` lists what is ours. It is written before anything is swapped, and again when all is done: a run
//! that dies in between leaves nothing that the next does not know.
//!
//! No name is ever resolved through a symbolic link or out of the directory (openat2(2), `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`).

mod directory;
mod plan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use thiserror::Error;

use crate::metadata::PROVIDER;
use crate::tree::{Entries, Name, Node, Quoted};
use directory::Directory;
use plan::{Kind, Paths, Plan, Step, join};

/// What the staging directory's name begins with.
const STAGING: &str = ".new-";
/// The list of what earlier runs made.
const MANIFEST: &str = ".manifest";
/// Largest manifest that is believed, in bytes.
const MAX_MANIFEST: usize = 1024 * 1024;

/// Whether a top-level name is for this module's own use.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    name == MANIFEST || name.starts_with(STAGING)
}

/// What becomes of the files of earlier runs that the new tree does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// They go.
    Replace,
    /// They stay, and are not replaced by placeholders: there is no news.
    Keep,
}

/// Why the tree is not there.
#[derive(Debug, Error)]
pub enum MaterialiseError {
    /// The directory is not usable.
    #[error("{}: {}", .directory.display(), explain(*.cause))]
    Target {
        /// Where the tree should be.
        directory: PathBuf,
        /// The system's answer.
        cause: Errno,
    },
    /// Another run has locked the directory.
    #[error("{}: another run is writing there", .0.display())]
    Busy(PathBuf),
    /// One file or directory could not be written.
    #[error("{}: cannot {action} {}: {}", .directory.display(), Quoted(.path), explain(*.cause))]
    Entry {
        /// Where the tree should be.
        directory: PathBuf,
        /// What was to be done.
        action: &'static str,
        /// To what, below the directory.
        path: String,
        /// The system's answer.
        cause: Errno,
    },
}

fn explain(errno: Errno) -> &'static str {
    match errno {
        Errno::ELOOP => "it is, or leads through, a symbolic link, which is never followed here",
        Errno::EXDEV => "it leads out of the directory or is a mount point",
        Errno::ENOTDIR => "there is something else than a directory",
        other => other.desc(),
    }
}

/// What was done, and what could not be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Entries that were swapped in.
    pub swapped: usize,
    /// Stale files and directories that were removed.
    pub removed: usize,
    /// Wanted paths that would have harmed the image's own: a directory where it has a file or link, or a file where
    /// it has a directory.
    pub conflicts: Vec<String>,
    /// Oddities that were overcome.
    pub notes: Vec<String>,
}

/// Makes `target` hold `tree`, beside what others have put there.
///
/// # Errors
/// [`MaterialiseError`]; then `target` has every entry either as before or as wanted.
pub fn materialise(target: &Path, tree: &Entries, earlier: Earlier) -> Result<Done, MaterialiseError> {
    let failed = |cause| MaterialiseError::Target { directory: target.to_owned(), cause };
    let live = Directory::make_and_open(target).map_err(failed)?;
    let Some(_lock) = live.lock().map_err(failed)? else {
        return Err(MaterialiseError::Busy(target.to_owned()));
    };
    Run { target, live, done: Done::default() }.all(tree, earlier)
}

/// Whether two paths are the same directory, by whatever links or mounts.
#[must_use]
pub fn same_directory(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    id(a).is_some_and(|a| Some(a) == id(b))
}

struct Run<'a> {
    target: &'a Path,
    live: Directory,
    done: Done,
}

impl Run<'_> {
    fn all(mut self, tree: &Entries, earlier: Earlier) -> Result<Done, MaterialiseError> {
        let top = self.live.list("").map_err(|e| self.error("list", "", e))?;
        for (name, _) in top.iter().filter(|(name, _)| name.starts_with(STAGING)) {
            self.remove_all(name); // of a run that died
        }
        let ours = self.read_manifest();
        let there = self.look(tree, &ours)?;
        let mut plan = plan::plan(&there, &ours, tree, earlier == Earlier::Keep);
        plan.steps.sort_by_key(|step| matches!(step, Step::Move(p) | Step::Exchange(p) if p == PROVIDER));
        let nothing_to_do = plan.steps.is_empty() && plan.stale.is_empty() && plan.ours == ours;
        if !nothing_to_do {
            let name = self.make_staging()?;
            let put = self.put(&name, tree, &plan, &ours);
            self.remove_all(&name);
            put?;
        }
        self.done.conflicts = plan.conflicts;
        Ok(self.done)
    }

    /// Builds, swaps, cleans; the staging directory is the caller's to remove, whatever comes of it.
    fn put(
        &mut self,
        name: &str,
        tree: &Entries,
        plan: &Plan,
        before: &Paths,
    ) -> Result<(), MaterialiseError> {
        let staging = self.live.open(name).map_err(|e| self.error("open", name, e))?;
        self.write_entries(&staging, tree, "")?;
        let either = before.union(&plan.ours).cloned().collect();
        self.write_manifest(&staging, &either)?;
        for (index, step) in plan.steps.iter().enumerate() {
            let (path, result) = match step {
                Step::Move(path) => (path, staging.rename_to(&self.live, path)),
                Step::Exchange(path) => {
                    (path, staging.exchange_with(&self.live, path, &format!("{STAGING}{index}")))
                }
            };
            result.map_err(|e| self.error("put in place", path, e))?;
            self.done.swapped += 1;
        }
        self.remove_stale(plan)?;
        self.write_manifest(&staging, &plan.ours)
    }

    /// A directory that nobody else can look into. Its name is new: what could not be removed of an earlier one is not
    /// used.
    fn make_staging(&self) -> Result<String, MaterialiseError> {
        const TRIES: u32 = 16;
        let mut number = std::process::id();
        let last = number + TRIES;
        loop {
            let name = format!("{STAGING}{number}");
            match self.live.make(&name, 0o700) {
                Ok(()) => return Ok(name),
                Err(Errno::EEXIST) if number < last => number += 1,
                Err(cause) => return Err(self.error("make", &name, cause)),
            }
        }
    }

    /// What earlier runs made. A manifest that can't be believed makes everything the image's own.
    fn read_manifest(&mut self) -> Paths {
        let bytes = match self.live.read(MANIFEST, MAX_MANIFEST) {
            Ok(bytes) => bytes,
            Err(Errno::ENOENT) => return Paths::new(),
            Err(cause) => {
                self.done.notes.push(format!("{MANIFEST}: {}; ignored", explain(cause)));
                return Paths::new();
            }
        };
        match serde_json::from_slice::<Paths>(&bytes) {
            Ok(paths) if paths.iter().all(|path| path.split('/').all(|name| Name::new(name).is_ok())) => {
                paths
            }
            _ => {
                self.done.notes.push(format!("{MANIFEST}: not a list of paths; ignored"));
                Paths::new()
            }
        }
    }

    /// What is there at the top, and in directories that are wanted or hold something of ours.
    fn look(&self, tree: &Entries, ours: &Paths) -> Result<BTreeMap<String, Kind>, MaterialiseError> {
        let mut interesting = ours.clone();
        interesting.extend(ours.iter().flat_map(|path| ancestors(path)));
        directories(tree, "", &mut interesting);
        let mut there = BTreeMap::new();
        let mut todo = vec![String::new()];
        while let Some(directory) = todo.pop() {
            let names = self.live.list(&directory).map_err(|e| self.error("list", &directory, e))?;
            for (name, kind) in names {
                if directory.is_empty() && is_internal(&name) {
                    continue;
                }
                let path = join(&directory, &name);
                if kind == Kind::Directory && interesting.contains(&path) {
                    todo.push(path.clone());
                }
                there.insert(path, kind);
            }
        }
        Ok(there)
    }

    fn write_entries(&self, at: &Directory, entries: &Entries, parent: &str) -> Result<(), MaterialiseError> {
        for (name, node) in entries {
            let path = join(parent, name.as_str());
            let error = |action| {
                let path = path.clone();
                move |cause| self.error(action, &path, cause)
            };
            match node {
                Node::File { mode, owner, content, .. } => {
                    at.write_new(name.as_str(), *mode, *owner, content).map_err(error("write"))?;
                }
                Node::Directory { mode, entries } => {
                    at.make(name.as_str(), 0o700).map_err(error("make"))?;
                    let directory = at.open(name.as_str()).map_err(error("open"))?;
                    self.write_entries(&directory, entries, &path)?;
                    directory.set_mode(*mode).map_err(error("set permissions of"))?;
                }
            }
        }
        at.sync().map_err(|e| self.error("sync", parent, e))
    }

    fn remove_stale(&mut self, plan: &Plan) -> Result<(), MaterialiseError> {
        for (path, kind) in &plan.stale {
            match self.live.remove(path, *kind) {
                Ok(()) => self.done.removed += 1,
                // Somebody else's files are in it, or somebody was faster.
                Err(Errno::ENOTEMPTY | Errno::ENOENT) => {}
                Err(cause) => return Err(self.error("remove", path, cause)),
            }
        }
        self.live.sync().map_err(|e| self.error("sync", "", e))
    }

    fn write_manifest(&self, staging: &Directory, ours: &Paths) -> Result<(), MaterialiseError> {
        let error = |cause| self.error("write", MANIFEST, cause);
        let json = serde_json::to_vec(ours).map_err(|_| error(Errno::EINVAL))?;
        staging.write_new(MANIFEST, 0o600, None, &json).map_err(error)?;
        staging.rename_to(&self.live, MANIFEST).map_err(error)
    }

    /// Removes a directory at the top and what is in it, however deep, without following anything. What can't be
    /// removed is only worth a note: the tree itself is not affected.
    fn remove_all(&mut self, name: &str) {
        if let Err((path, cause)) = remove_all(&self.live, name) {
            self.done.notes.push(format!("cannot remove {}: {}", Quoted(&path), explain(cause)));
        }
    }

    fn error(&self, action: &'static str, path: &str, cause: Errno) -> MaterialiseError {
        MaterialiseError::Entry { directory: self.target.to_owned(), action, path: path.to_owned(), cause }
    }
}

fn remove_all(live: &Directory, name: &str) -> Result<(), (String, Errno)> {
    let mut todo = vec![(name.to_owned(), Kind::Directory)];
    let mut found = Vec::new();
    while let Some((path, kind)) = todo.pop() {
        if kind == Kind::Directory {
            let names = live.list(&path).map_err(|cause| (path.clone(), cause))?;
            todo.extend(names.into_iter().map(|(name, kind)| (join(&path, &name), kind)));
        }
        found.push((path, kind));
    }
    found
        .into_iter()
        .rev()
        .try_for_each(|(path, kind)| live.remove(&path, kind).map_err(|cause| (path, cause)))
}

/// The directories above a path.
fn ancestors(path: &str) -> impl Iterator<Item = String> {
    path.match_indices('/').filter_map(|(end, _)| path.get(..end)).map(str::to_owned)
}

/// The paths of all directories in a tree.
fn directories(entries: &Entries, parent: &str, found: &mut Paths) {
    for (name, node) in entries {
        if let Node::Directory { entries, .. } = node {
            let path = join(parent, name.as_str());
            directories(entries, &path, found);
            found.insert(path);
        }
    }
}

#[cfg(test)]
mod tests;
