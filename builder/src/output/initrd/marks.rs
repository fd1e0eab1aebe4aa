//! Two files that tell init whether the kernel has unpacked the whole initrd (see [`image_layout::initrd`]).

use std::sync::Arc;

use image_layout::initrd::{FIRST_MARK, LAST_MARK, Unpacked};

use crate::tree::{Content, Kind, Node, Origin, Tree, TreePath, join, split};

/// The marks of a tree, and the directories that they need and it does not have.
#[derive(Debug)]
pub(super) struct Marks {
    pub(super) directories: Vec<(TreePath, Node)>,
    pub(super) first: (TreePath, Node),
    pub(super) last: (TreePath, Node),
}

impl Marks {
    /// `None` for a tree that has something else where the marks would be: a link, or a file for a directory.
    pub(super) fn of(tree: &Tree) -> Option<Self> {
        let origin = Arc::new(Origin { source: "lkb".to_owned(), ..Origin::default() });
        let mut directories = Vec::new();
        let mut path = TreePath::new();
        let (parent, _) = split(FIRST_MARK.as_bytes());
        for name in parent.split(|&byte| byte == b'/') {
            path = join(&path, name);
            match tree.get(&path) {
                Some(node) if node.is_directory() => {}
                Some(_) => return None,
                None => directories.push((path.clone(), Node::directory(&origin))),
            }
        }
        let mark = |path: &str, text: String| {
            (path.as_bytes().to_vec(), Node::file(text.into_bytes(), 0o444, &origin))
        };
        let unpacked = Unpacked { bytes: tree.iter().map(|(_, node)| taken(node)).sum() };
        Some(Self {
            directories,
            first: mark(FIRST_MARK, unpacked.to_string()),
            // With content, so that it cannot be made where there is no room.
            last: mark(LAST_MARK, "complete\n".to_owned()),
        })
    }

    /// Whether `path` is one of the two, whoever put it into the tree.
    pub(super) fn are_at(path: &[u8]) -> bool {
        [FIRST_MARK, LAST_MARK].map(str::as_bytes).contains(&path)
    }
}

/// What a node takes in a tmpfs: files their pages, everything else nothing that counts.
fn taken(node: &Node) -> u64 {
    match &node.kind {
        Kind::File(content) => Content::len(content).next_multiple_of(Unpacked::PAGE),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Location;

    fn tree(files: &[(&str, usize)]) -> Tree {
        let origin = Arc::new(Origin { location: Location::Init(0), source: "test".into() });
        let mut tree = Tree::new();
        for (path, length) in files {
            tree.insert(path.as_bytes(), Node::file(vec![0; *length], 0o644, &origin)).unwrap();
        }
        tree
    }

    fn names(marks: &Marks) -> Vec<&str> {
        marks.directories.iter().map(|(path, _)| std::str::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn the_first_mark_says_how_many_pages_the_files_take() {
        let marks =
            Marks::of(&tree(&[("bin/a", 1), ("bin/b", 4096), ("bin/c", 4097), ("bin/empty", 0)])).unwrap();
        let Kind::File(content) = &marks.first.1.kind else { panic!("{marks:?}") };
        assert_eq!(content.read_all(100).unwrap(), b"bytes=16384\n");
        assert_eq!(names(&marks), ["etc", "etc/lkb"]);
    }

    #[test]
    fn directories_that_are_there_are_used_and_anything_else_in_their_place_means_no_marks() {
        assert_eq!(names(&Marks::of(&tree(&[("etc/issue", 1)])).unwrap()), ["etc/lkb"]);
        assert!(Marks::of(&tree(&[("etc", 1)])).is_none());
        assert!(Marks::of(&tree(&[("etc/lkb", 1)])).is_none());
    }
}
