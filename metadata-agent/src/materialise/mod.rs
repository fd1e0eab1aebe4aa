//! Puts a tree of files into a directory, in one step. The only code of this crate that writes.
//!
//! The directory itself stays the same inode, because containers bind it and `/run/config` is another view of it; it
//! may be a mount point. So what changes is one link in it:
//!
//! ```text
//! hostname ─► .data/hostname    a link for each name at the top
//! .data ─► .tree-7              the link that is replaced: rename(2) of a new one over it
//! .tree-7/hostname              the tree, complete and synced before anything leads to it
//! .image/app/                   what the image had under names that the tree has, too
//! ```
//!
//! Whoever opens a path sees the old tree or the new one, also after a power cut. Who wants several files of the same
//! tree opens `.data` once and goes on from there: the tree before the newest stays until the next run. A container that
//! has bound one file or directory of a tree goes on seeing that one.
//!
//! What the image itself put there is in the tree as well (another hard link to it), below what is new, and comes back
//! when the tree does not name it any more.
//!
//! No name is resolved through a symbolic link or out of the directory (openat2(2), `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`): the links are for others.

mod compose;
mod directory;
mod error;
mod names;
mod survey;

use std::collections::BTreeMap;
use std::path::Path;

use nix::errno::Errno;

use crate::tree::{Entries, Node, Quoted};
use compose::{Composed, Item, Items, There, compose, is_news, join};
use directory::{Directory, Kind};
pub use error::MaterialiseError;
use error::explain;
pub use names::is_internal;
use names::{DATA, IMAGE, NEW_DATA, image_link_text, link_text, tree_name};
use survey::Survey;

/// What becomes of the files of earlier runs that the new tree does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// They go.
    Replace,
    /// They stay, and are not replaced by placeholders: there is no news.
    Keep,
}

/// What was done, and what could not be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Files that were written.
    pub written: usize,
    /// Names at the top that are no longer there.
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
/// [`MaterialiseError`]; then `target` shows what it did before.
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

/// What names are made of besides what is new, and where that is now, below the directory.
#[derive(Default)]
struct Bases {
    there: BTreeMap<String, There>,
    paths: BTreeMap<String, String>,
}

impl Run<'_> {
    fn all(mut self, tree: &Entries, earlier: Earlier) -> Result<Done, MaterialiseError> {
        let survey = Survey::of(&self.live).map_err(|failure| self.cannot_look(failure))?;
        survey.leftovers.iter().for_each(|name| self.remove_all(name));
        let keep = survey.current.filter(|_| earlier == Earlier::Keep);
        let bases = self.bases(&survey, tree, keep)?;
        let Composed { mut items, conflicts } = compose(&bases.there, tree);
        self.done.conflicts = conflicts;
        let is_new = |name: &String, item: &Item<'_>| is_news(bases.there.get(name), item);
        if keep.is_some() && !items.iter().any(|(name, item)| is_new(name, item)) {
            return Ok(self.done);
        }
        // What is the image's alone stays where it is.
        items.retain(|name, item| {
            survey.taken.contains(name) || survey.aside.contains(name) || is_new(name, item)
        });
        let next = tree_name(survey.next);
        if let Err(error) = self.build(&next, &items, &bases) {
            self.remove_all(&next);
            return Err(error);
        }
        let before = self.lead_to_tree(&survey, &items)?;
        self.replace(DATA, &next)?;
        self.clean(&survey, &items)?;
        if survey.current.is_none() {
            self.remove_all(&before); // which nobody can have found anything in
        }
        Ok(self.done)
    }

    /// What is there of the names that the next tree has.
    fn bases(&self, survey: &Survey, tree: &Entries, keep: Option<u64>) -> Result<Bases, MaterialiseError> {
        let mut bases = Bases::default();
        let kept = match keep.map(tree_name) {
            Some(directory) => {
                let names = self.live.list(&directory).map_err(|e| self.error("list", &directory, e))?;
                names.into_iter().map(|(name, _)| (name.clone(), join(&directory, &name))).collect()
            }
            None => BTreeMap::new(),
        };
        let wanted = tree.keys().map(|name| name.as_str().to_owned());
        for name in wanted.chain(survey.aside.iter().cloned()).chain(kept.keys().cloned()) {
            let path = match kept.get(&name) {
                Some(path) => path.clone(),
                None if survey.others.contains(&name) => name.clone(),
                None if survey.aside.contains(&name) => join(IMAGE, &name),
                None => continue,
            };
            let there = survey::there(&self.live, &path).map_err(|failure| self.cannot_look(failure))?;
            if let Some(there) = there {
                bases.there.insert(name.clone(), there);
                bases.paths.insert(name, path);
            }
        }
        Ok(bases)
    }

    /// Makes a tree that nothing leads to, complete and synced.
    fn build(&mut self, name: &str, items: &Items<'_>, bases: &Bases) -> Result<(), MaterialiseError> {
        self.live.make(name, 0o700).map_err(|e| self.error("make", name, e))?;
        let top = self.live.open(name).map_err(|e| self.error("open", name, e))?;
        for (name, item) in items {
            let base = bases.paths.get(name).map_or("", String::as_str);
            self.put(&top, name, item, name, base)?;
        }
        top.set_mode(0o755).map_err(|e| self.error("set permissions of", name, e))?;
        top.sync().map_err(|e| self.error("sync", name, e))
    }

    /// Makes one entry of a directory; `base` is where what it may be the same as is now.
    fn put(
        &mut self,
        at: &Directory,
        name: &str,
        item: &Item<'_>,
        path: &str,
        base: &str,
    ) -> Result<(), MaterialiseError> {
        let error = |action| {
            let path = path.to_owned();
            let directory = self.target.to_owned();
            move |cause| MaterialiseError::Entry { directory, action, path, cause }
        };
        match item {
            Item::New(Node::File { mode, owner, content, .. }) => {
                at.write_new(name, *mode, *owner, content).map_err(error("write"))?;
                self.done.written += 1;
            }
            Item::New(Node::Directory { .. }) => {} // compose makes directories of them
            Item::Same => self.live.link(base, at, name).map_err(error("link"))?,
            Item::Directory { mode, owner, entries } => {
                at.make(name, 0o700).map_err(error("make"))?;
                let directory = at.open(name).map_err(error("open"))?;
                let (synced, permitted) = (error("sync"), error("set permissions of"));
                for (name, item) in entries {
                    self.put(&directory, name, item, &join(path, name), &join(base, name))?;
                }
                directory.set_mode_and_owner(*mode, *owner).map_err(permitted)?;
                directory.sync().map_err(synced)?;
            }
        }
        Ok(())
    }

    /// Has the names at the top lead to the tree that is shown, which gets the image's own under names that are real
    /// until now. Nothing is different for a reader afterwards. Returns the name of that tree.
    fn lead_to_tree(&mut self, survey: &Survey, items: &Items<'_>) -> Result<String, MaterialiseError> {
        let current = tree_name(survey.current.unwrap_or_default());
        if survey.current.is_none() {
            self.live.make(&current, 0o755).map_err(|e| self.error("make", &current, e))?;
            self.replace(DATA, &current)?;
        }
        for name in items.keys().filter(|name| !survey.taken.contains(*name)) {
            if survey.others.contains(name) {
                self.put_aside(name, &current)?;
            } else {
                self.live.make_link(&link_text(name), name).map_err(|e| self.error("link", name, e))?;
            }
        }
        self.live.sync().map_err(|e| self.error("sync", "", e))?;
        Ok(current)
    }

    /// Exchanges the image's own entry with a link into the tree that is shown, whose entry leads back to it.
    fn put_aside(&mut self, name: &str, current: &str) -> Result<(), MaterialiseError> {
        let (shown, aside) = (join(current, name), join(IMAGE, name));
        match self.live.make(IMAGE, 0o755) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(cause) => return Err(self.error("make", IMAGE, cause)),
        }
        for path in [&shown, &aside] {
            self.remove_all(path); // of a time when the name was ours
        }
        let links = [(image_link_text(name), &shown), (link_text(name), &aside)];
        for (text, path) in links {
            self.live.make_link(&text, path).map_err(|e| self.error("link", path, e))?;
        }
        self.live.exchange(&aside, name).map_err(|e| self.error("put aside", name, e))
    }

    /// Has the link `name` lead to `text`, in one step.
    fn replace(&self, name: &str, text: &str) -> Result<(), MaterialiseError> {
        let done = self.live.make_link(text, NEW_DATA).and_then(|()| self.live.rename(NEW_DATA, name));
        done.and_then(|()| self.live.sync()).map_err(|e| self.error("put in place", name, e))
    }

    /// Removes names that lead nowhere any more.
    fn clean(&mut self, survey: &Survey, items: &Items<'_>) -> Result<(), MaterialiseError> {
        for name in survey.taken.iter().filter(|name| !items.contains_key(*name)) {
            self.live.remove(name, Kind::Other).map_err(|e| self.error("remove", name, e))?;
            self.done.removed += 1;
        }
        self.live.sync().map_err(|e| self.error("sync", "", e))
    }

    /// Removes what is at a path and in it, however deep, without following anything. What can't be removed is only worth
    /// a note: the tree itself is not affected.
    fn remove_all(&mut self, path: &str) {
        if let Err((path, cause)) = self.live.remove_all(path) {
            self.done.notes.push(format!("cannot remove {}: {}", Quoted(&path), explain(cause)));
        }
    }

    fn cannot_look(&self, (path, cause): survey::Failure) -> MaterialiseError {
        self.error("look at", &path, cause)
    }

    fn error(&self, action: &'static str, path: &str, cause: Errno) -> MaterialiseError {
        MaterialiseError::Entry { directory: self.target.to_owned(), action, path: path.to_owned(), cause }
    }
}

#[cfg(test)]
mod tests;
