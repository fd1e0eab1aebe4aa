//! Where a path leads when symbolic links are followed inside the tree, as a chroot into it would.

use super::path::{parts, pop, push};
use super::{Kind, Tree, TreeError, TreePath, split};

/// Most links on the way (Linux's `MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

impl Tree {
    /// Where a path leads, all links followed. What does not exist leads to itself.
    ///
    /// # Errors
    /// When something on the way is no directory, or there are too many links.
    pub fn resolve(&self, path: &[u8]) -> Result<TreePath, TreeError> {
        self.follow(path, &mut 0)
    }

    /// Where an entry of this path is: links are followed in its directory, not in its last part.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_parent(&self, path: &[u8]) -> Result<TreePath, TreeError> {
        let (directory, name) = split(path);
        let mut resolved = self.resolve(directory)?;
        self.must_be_directory(&resolved)?;
        if !name.is_empty() {
            push(&mut resolved, name);
        }
        Ok(resolved)
    }

    fn follow(&self, path: &[u8], links: &mut usize) -> Result<TreePath, TreeError> {
        let mut resolved = TreePath::new();
        // What is still to be walked, the next part last.
        let mut left: Vec<Vec<u8>> = parts(path).rev().map(<[u8]>::to_vec).collect();
        while let Some(part) = left.pop() {
            if part == b".." {
                pop(&mut resolved);
                continue;
            }
            self.must_be_directory(&resolved)?;
            push(&mut resolved, &part);
            let Some(Kind::Symlink(target)) = self.entries.get(&resolved).map(|node| &node.kind) else {
                continue;
            };
            *links += 1;
            if *links > MAX_LINKS {
                return Err(TreeError::Loop(path.to_vec()));
            }
            match target.first() {
                Some(b'/') => resolved.clear(),
                _ => pop(&mut resolved),
            }
            left.extend(parts(target).rev().map(<[u8]>::to_vec));
        }
        Ok(resolved)
    }

    fn must_be_directory(&self, path: &[u8]) -> Result<(), TreeError> {
        match self.entries.get(path) {
            Some(node) if !node.is_directory() => Err(TreeError::NotADirectory(path.to_vec())),
            _ => Ok(()),
        }
    }
}
