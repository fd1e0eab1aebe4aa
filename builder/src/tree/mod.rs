//! A root filesystem as a value: ordered, in memory, file contents by reference.

mod content;
mod layer;
mod merge;
mod node;
mod path;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use content::Content;
pub use layer::LayerError;
pub use node::{GENERATED_MTIME, Kind, Location, Node, Origin};
pub use path::{PathError, TreePath, clean, display, join, split};

/// A root filesystem. Parents sort before their children and always exist; a hard link's file exists and sorts
/// before the link.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// What is known about the root directory itself.
    root: Option<Node>,
    entries: BTreeMap<TreePath, Node>,
    /// Of each file that has several names: the others. The first in order is the file, the others are links.
    links: BTreeMap<TreePath, BTreeSet<TreePath>>,
}

/// Why something cannot be put into a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The name is no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Something that is no directory is in the way.
    #[error("{} is not a directory", display(.0))]
    NotADirectory(TreePath),
    /// Symbolic links lead round and round.
    #[error("too many symbolic links on the way to {}", display(.0))]
    Loop(TreePath),
    /// The root cannot be a file.
    #[error("the root is not a directory")]
    Root,
    /// A hard link names nothing.
    #[error("a hard link to {}, which does not exist", display(.0))]
    NoTarget(TreePath),
    /// A hard link names a directory.
    #[error("a hard link to {}, which is a directory", display(.0))]
    LinkToDirectory(TreePath),
    /// A directory with files in it would be lost.
    #[error("{} from {by} would replace the directory of {from} with all that is in it", display(.path))]
    Occupied {
        /// Where.
        path: TreePath,
        /// Who has the directory.
        from: String,
        /// Who has something else.
        by: String,
    },
}

impl Tree {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries, the root not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing below the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The root directory, if an image said something about it.
    #[must_use]
    pub fn root(&self) -> Option<&Node> {
        self.root.as_ref()
    }

    /// All entries below the root, in order of their bytes: parents before children, files before their links.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.entries.iter()
    }

    /// What is at exactly this path; no link is followed.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        match path {
            [] => self.root.as_ref(),
            path => self.entries.get(path),
        }
    }

    /// The regular file at this path, links of both kinds followed, as far as they stay in the tree; `None` where they do not.
    #[must_use]
    pub fn file(&self, path: &[u8]) -> Option<&Content> {
        let path = self.resolve(path).ok()?;
        match &self.get(&path)?.kind {
            Kind::File(content) => Some(content),
            Kind::Hardlink(file) => match &self.entries.get(file)?.kind {
                Kind::File(content) => Some(content),
                _ => None,
            },
            _ => None,
        }
    }

    /// The other names of a regular file, if it has any.
    pub fn links(&self, file: &[u8]) -> impl Iterator<Item = &TreePath> {
        self.links.get(file).into_iter().flatten()
    }

    /// Puts a node at a path, with symbolic links on the way followed inside the tree. Missing parents are made
    /// (0755, root) and have the node's origin. What was there is replaced, all of it, unless both are
    /// directories: then what is in it stays. Returns the path where it is now.
    ///
    /// # Errors
    /// When a file is in the way, links lead in a circle, or a hard link names no file.
    pub fn insert(&mut self, path: &[u8], node: Node) -> Result<TreePath, TreeError> {
        let path = self.resolve_parent(path)?;
        self.make_parents(&path, &node.origin)?;
        self.place(path.clone(), node)?;
        Ok(path)
    }

    /// Makes sure that there is a directory; what is known about an existing one stays.
    ///
    /// # Errors
    /// When a file is in the way, or links lead in a circle.
    pub fn ensure_directory(&mut self, path: &[u8], origin: &Arc<Origin>) -> Result<TreePath, TreeError> {
        let path = self.resolve(path)?;
        match self.get(&path) {
            _ if path.is_empty() => {}
            Some(node) if node.is_directory() => {}
            Some(_) => return Err(TreeError::NotADirectory(path)),
            None => {
                self.make_parents(&path, origin)?;
                self.place(path.clone(), Node::directory(origin))?;
            }
        }
        Ok(path)
    }

    /// Removes what is at exactly this path, with all that is in it. Says whether there was anything.
    pub fn remove(&mut self, path: &[u8]) -> bool {
        let mut paths: Vec<TreePath> = self.below(path).map(|(path, _)| path.clone()).collect();
        if self.entries.contains_key(path) {
            paths.push(path.to_vec());
        }
        // Links first: what is left in `links` then are names that stay.
        for path in &paths {
            if let Some(Kind::Hardlink(file)) = self.entries.get(path).map(|node| node.kind.clone()) {
                self.forget_link(&file, path);
                self.entries.remove(path);
            }
        }
        for path in &paths {
            self.hand_over(path);
            self.entries.remove(path);
        }
        !paths.is_empty()
    }

    /// Puts a whole tree at a path where there is nothing yet.
    ///
    /// # Errors
    /// When there is something at the path.
    pub fn graft(&mut self, prefix: &[u8], tree: Self, origin: &Arc<Origin>) -> Result<(), TreeError> {
        let prefix = self.resolve_parent(prefix)?;
        if let Some(node) = self.get(&prefix) {
            return Err(TreeError::Occupied {
                path: prefix,
                from: node.origin.to_string(),
                by: origin.to_string(),
            });
        }
        self.make_parents(&prefix, origin)?;
        self.place(prefix.clone(), tree.root.unwrap_or_else(|| Node::directory(origin)))?;
        for (path, mut node) in tree.entries {
            if let Kind::Hardlink(file) = &mut node.kind {
                *file = join(&prefix, file);
            }
            self.entries.insert(join(&prefix, &path), node);
        }
        for (file, names) in tree.links {
            self.links.insert(join(&prefix, &file), names.iter().map(|name| join(&prefix, name)).collect());
        }
        Ok(())
    }

    /// All entries below a directory, in order; not the directory itself.
    pub fn below(&self, path: &[u8]) -> impl Iterator<Item = (&TreePath, &Node)> {
        let (start, end) = match path {
            [] => (Vec::new(), vec![0xff; 2]),
            // '0' comes right after '/'.
            path => ([path, b"/"].concat(), [path, b"0"].concat()),
        };
        self.entries.range(start..end)
    }

    fn make_parents(&mut self, path: &[u8], origin: &Arc<Origin>) -> Result<(), TreeError> {
        let (parent, _) = split(path);
        let mut made = TreePath::new();
        for part in path::parts(parent) {
            path::push(&mut made, part);
            match self.entries.get(&made) {
                None => drop(self.entries.insert(made.clone(), Node::directory(origin))),
                Some(node) if node.is_directory() => {}
                Some(_) => return Err(TreeError::NotADirectory(made)),
            }
        }
        Ok(())
    }

    /// Puts a node at a path whose parents are there and are directories.
    fn place(&mut self, path: TreePath, node: Node) -> Result<(), TreeError> {
        if path.is_empty() {
            return match node.is_directory() {
                true => {
                    self.root = Some(node);
                    Ok(())
                }
                false => Err(TreeError::Root),
            };
        }
        let keeps_children = node.is_directory() && self.entries.get(&path).is_some_and(Node::is_directory);
        if !keeps_children {
            self.remove(&path);
        }
        match node.kind {
            Kind::Hardlink(target) => self.link(target, path),
            _ => {
                self.entries.insert(path, node);
                Ok(())
            }
        }
    }

    /// Gives a file another name.
    fn link(&mut self, target: TreePath, path: TreePath) -> Result<(), TreeError> {
        let target = self.resolve_parent(&target)?;
        let Some(node) = self.get(&target).cloned() else { return Err(TreeError::NoTarget(target)) };
        let file = match node.kind {
            Kind::Directory => return Err(TreeError::LinkToDirectory(target)),
            Kind::Hardlink(ref file) => file.clone(),
            Kind::File(_) => target,
            // Links to links, devices and pipes: a second one cannot be told from the same one.
            _ => {
                self.entries.insert(path, node);
                return Ok(());
            }
        };
        self.entries.insert(path.clone(), Node { kind: Kind::Hardlink(file.clone()), ..node });
        self.links.entry(file.clone()).or_default().insert(path.clone());
        if path < file {
            self.make_first(&file);
        }
        Ok(())
    }

    fn forget_link(&mut self, file: &[u8], link: &[u8]) {
        if let Some(names) = self.links.get_mut(file) {
            names.remove(link);
            if names.is_empty() {
                self.links.remove(file);
            }
        }
    }

    /// Before a file goes: its next name becomes the file.
    fn hand_over(&mut self, file: &[u8]) {
        let Some(mut names) = self.links.remove(file) else { return };
        let (Some(first), Some(node)) = (names.pop_first(), self.entries.get(file).cloned()) else { return };
        self.repoint(&names, &first);
        self.entries.insert(first.clone(), node);
        if !names.is_empty() {
            self.links.insert(first, names);
        }
    }

    /// Of a file that got a name that sorts before it: that name becomes the file.
    fn make_first(&mut self, file: &[u8]) {
        let Some(node) = self.entries.get(file).cloned() else { return };
        let Some(mut names) = self.links.remove(file) else { return };
        let Some(first) = names.pop_first() else { return };
        let link = Node { kind: Kind::Hardlink(first.clone()), ..node.clone() };
        self.entries.insert(file.to_vec(), link);
        self.repoint(&names, &first);
        self.entries.insert(first.clone(), node);
        names.insert(file.to_vec());
        self.links.insert(first, names);
    }

    fn repoint(&mut self, names: &BTreeSet<TreePath>, file: &TreePath) {
        for name in names {
            if let Some(node) = self.entries.get_mut(name) {
                node.kind = Kind::Hardlink(file.clone());
            }
        }
    }
}
