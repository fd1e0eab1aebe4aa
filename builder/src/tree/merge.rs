//! One tree unpacked over another.

use super::{Kind, Node, Tree, TreeError, TreePath, join};

impl Tree {
    /// Unpacks another tree over this one: what both have, the other's wins.
    ///
    /// Images disagree about which directories are links (`/lib` and `/usr/lib`), and unpacking one over the other
    /// must lose nothing: a directory over a link to a directory goes where the link leads; a link over a directory
    /// takes the place of the directory, whose files move to where the link leads.
    ///
    /// # Errors
    /// When anything else would replace a directory that is not empty, a file is where a directory is needed, or
    /// links lead in a circle.
    pub fn merge(&mut self, over: Self) -> Result<(), TreeError> {
        if over.root.is_some() {
            self.root = over.root;
        }
        for (path, node) in over.entries {
            let at = self.resolve_parent(&path)?;
            let (is_directory, is_empty) = match self.get(&at) {
                Some(there) if there.is_directory() => (true, self.below(&at).next().is_none()),
                _ => (false, true),
            };
            match &node.kind {
                Kind::Directory if self.leads_to_directory(&at) => {}
                Kind::Symlink(target) if is_directory && !is_empty => {
                    let target = target.clone();
                    self.replace_by_link(at, &target, node)?;
                }
                Kind::Directory => self.lay(at, node)?,
                _ if is_directory && !is_empty => return Err(self.occupied(at, &node)),
                _ => self.lay(at, node)?,
            }
        }
        Ok(())
    }

    fn lay(&mut self, at: TreePath, node: Node) -> Result<(), TreeError> {
        self.make_parents(&at, &node.origin)?;
        self.place(at, node)
    }

    /// Whether there is a symbolic link that leads to a directory.
    fn leads_to_directory(&self, at: &[u8]) -> bool {
        let is_link = self.get(at).is_some_and(|node| matches!(node.kind, Kind::Symlink(_)));
        is_link
            && self.resolve(at).is_ok_and(|to| to.is_empty() || self.get(&to).is_some_and(Node::is_directory))
    }

    fn replace_by_link(&mut self, at: TreePath, target: &[u8], link: Node) -> Result<(), TreeError> {
        let from = match target.first() {
            Some(b'/') => target.to_vec(),
            _ => join(super::split(&at).0, target),
        };
        let to = self.resolve(&from)?;
        let inside = to == at || to.starts_with(&[&at[..], b"/"].concat());
        if inside || self.get(&to).is_some_and(|node| !node.is_directory()) {
            return Err(self.occupied(at, &link));
        }
        self.ensure_directory(&to, &link.origin)?;
        let names: Vec<TreePath> = self.below(&at).map(|(path, _)| path.clone()).collect();
        for name in names {
            // Files with several names may have taken each other's place meanwhile, but not gone.
            self.rename(&name, join(&to, &name[at.len() + 1..]))?;
        }
        self.place(at, link)
    }

    /// Moves one entry; of two files, the one that comes later in the YAML stays. A directory is copied, as what is
    /// in it moves later.
    fn rename(&mut self, from: &[u8], to: TreePath) -> Result<(), TreeError> {
        let Some(node) = self.get(from).cloned() else { return Ok(()) };
        if let Some(there) = self.get(&to) {
            let both = (there.is_directory(), node.is_directory());
            if both.0 != both.1 {
                return Err(self.occupied(to, &node));
            }
            if both.0 || there.origin.location >= node.origin.location {
                return Ok(());
            }
        }
        if node.is_directory() {
            return self.place(to, node);
        }
        let peer = match &node.kind {
            Kind::Hardlink(file) => Some(file.clone()),
            _ => self.links(from).next().cloned(),
        };
        self.remove(from);
        match peer {
            Some(peer) => self.place(to, Node { kind: Kind::Hardlink(peer), ..node }),
            None => self.place(to, node),
        }
    }

    fn occupied(&self, path: TreePath, node: &Node) -> TreeError {
        let from = self.get(&path).map(|there| there.origin.to_string()).unwrap_or_default();
        TreeError::Occupied { path, from, by: node.origin.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{content, directory, file, link, listing, symlink, tree};
    use super::*;

    #[test]
    fn later_files_win_and_directories_are_joined() {
        let mut base = tree([("etc", directory(0o755)), ("etc/a", file("1")), ("etc/b", file("1"))]);
        base.merge(tree([("etc", directory(0o700)), ("etc/b", file("2")), ("etc/c", file("2"))])).unwrap();
        assert_eq!(listing(&base), ["etc/ 700", "etc/a=1", "etc/b=2", "etc/c=2"]);
    }

    #[test]
    fn a_directory_over_a_link_to_a_directory_goes_where_the_link_leads() {
        let mut base = tree([("lib", symlink("usr/lib")), ("usr/lib/a", file("1"))]);
        base.merge(tree([("lib", directory(0o700)), ("lib/modules/x.ko", file("2"))])).unwrap();
        assert_eq!(
            listing(&base),
            [
                "lib->usr/lib",
                "usr/ 755",
                "usr/lib/ 755",
                "usr/lib/a=1",
                "usr/lib/modules/ 755",
                "usr/lib/modules/x.ko=2"
            ]
        );
    }

    #[test]
    fn a_link_over_a_directory_takes_its_files_along() {
        let mut base = tree([
            ("lib/modules/x.ko", file("1")),
            ("lib/y", link("lib/modules/x.ko")),
            ("z", link("lib/modules/x.ko")),
        ]);
        base.merge(tree([("lib", symlink("usr/lib")), ("usr/lib/a", file("2"))])).unwrap();
        assert_eq!(
            listing(&base),
            [
                "lib->usr/lib",
                "usr/ 755",
                "usr/lib/ 755",
                "usr/lib/a=2",
                "usr/lib/modules/ 755",
                "usr/lib/modules/x.ko=1",
                "usr/lib/y=>usr/lib/modules/x.ko",
                "z=>usr/lib/modules/x.ko"
            ]
        );
    }

    #[test]
    fn a_directory_with_files_is_never_lost_to_a_file() {
        let mut base = tree([("a/b", file("1"))]);
        let error = base.merge(tree([("a", file("2"))])).unwrap_err();
        assert!(matches!(error, TreeError::Occupied { .. }), "{error}");
        let error = base.merge(tree([("a", symlink("a/c"))])).unwrap_err();
        assert!(matches!(error, TreeError::Occupied { .. }), "{error}");
        let mut base = tree([("a", directory(0o755))]);
        base.merge(tree([("a", file("2"))])).unwrap();
        assert_eq!(content(&base, "a"), "2");
    }

    #[test]
    fn a_file_that_is_replaced_leaves_its_other_names_alone() {
        let mut base = tree([("a", file("1")), ("b", link("a")), ("c", link("a"))]);
        base.merge(tree([("a", file("2"))])).unwrap();
        assert_eq!(listing(&base), ["a=2", "b=1", "c=>b"]);
    }
}
