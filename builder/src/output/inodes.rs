//! A tree as a file system keeps it: numbered inodes, and directories that name them.

use std::collections::HashMap;

use crate::tree::{Kind, Node, Tree, TreePath, split};

/// All inodes of a tree, the root first. A directory comes before what is in it.
#[derive(Debug)]
pub(super) struct Inodes<'a> {
    all: Vec<Inode<'a>>,
}

/// One file, directory, link or device, whatever number of names it has.
#[derive(Debug)]
pub(super) struct Inode<'a> {
    /// The first of its names; the root's is empty.
    pub(super) path: &'a [u8],
    pub(super) node: &'a Node,
    /// The directory of its first name; the root is its own.
    pub(super) parent: usize,
    /// What `stat` says: names, and of a directory also the `..` of those in it.
    pub(super) links: u32,
    /// Of a directory: names in the order of their bytes, each with its inode.
    pub(super) children: Vec<(&'a [u8], usize)>,
}

impl<'a> Inodes<'a> {
    /// The inodes of `tree`; `root` is what is known about its root directory.
    pub(super) fn of(tree: &'a Tree, root: &'a Node) -> Self {
        let inode = |path, node, parent| Inode { path, node, parent, links: 1, children: Vec::new() };
        let mut all = vec![Inode { links: 2, ..inode(&[][..], root, 0) }];
        let mut numbers: HashMap<&[u8], usize> = HashMap::from([(&[][..], 0)]);
        for (path, node) in tree.iter() {
            let (directory, name) = split(path);
            // A tree has the parents of all that is in it, and the file of each link; both sort before.
            let Some(&parent) = numbers.get(directory) else { continue };
            let number = match &node.kind {
                Kind::Hardlink(file) => {
                    let Some(&number) = numbers.get(&file[..]) else { continue };
                    all[number].links = all[number].links.saturating_add(1);
                    number
                }
                kind => {
                    let mut new = inode(path, node, parent);
                    if *kind == Kind::Directory {
                        new.links = 2;
                        all[parent].links = all[parent].links.saturating_add(1);
                    }
                    all.push(new);
                    all.len() - 1
                }
            };
            numbers.insert(path, number);
            all[parent].children.push((name, number));
        }
        Self { all }
    }

    /// Number of inodes, the root's counted.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, number: usize) -> &Inode<'a> {
        &self.all[number]
    }

    /// All of them, with their numbers, which begin at 0.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, &Inode<'a>)> {
        self.all.iter().enumerate()
    }
}

/// The root directory of a tree that no image said anything about.
pub(super) fn root_of(tree: &Tree) -> Node {
    tree.root().cloned().unwrap_or_else(|| Node::directory(&std::sync::Arc::default()))
}

/// The device number as Linux writes it into 32 bits (`new_encode_dev`): 12 bits of major, 20 of minor.
pub(super) fn device_number(major: u32, minor: u32) -> u32 {
    minor & 0xFF | major << 8 | (minor & !0xFF) << 12
}

/// File type and permission bits, as `stat` has them.
pub(super) fn mode(node: &Node) -> u16 {
    let kind = match node.kind {
        Kind::Fifo => 0o010_000,
        Kind::CharDevice { .. } => 0o020_000,
        Kind::Directory => 0o040_000,
        Kind::BlockDevice { .. } => 0o060_000,
        Kind::File(_) | Kind::Hardlink(_) => 0o100_000,
        Kind::Symlink(_) => 0o120_000,
    };
    kind | (node.mode & 0o7777) as u16
}

/// What no file system of Linux' takes, whatever its own format allows: the first thing of a tree that is too large, in
/// words. `None` when all is well.
pub(super) fn excess(tree: &Tree) -> Option<String> {
    tree.iter()
        .find_map(|(path, node)| excess_of(path, node).map(|what| (path, node, what)))
        .map(|(path, node, what)| format!("{} of {} {what}", crate::tree::display(path), node.origin))
}

/// Longest name (Linux, `NAME_MAX`), target of a symbolic link (`PATH_MAX` without its end), name of an attribute
/// (`XATTR_NAME_MAX`) and value of one (`XATTR_SIZE_MAX`), in bytes.
const MAX_NAME: usize = 255;
const MAX_TARGET: usize = 4095;
const MAX_XATTR_NAME: usize = 255;
const MAX_XATTR_VALUE: usize = 64 << 10;
/// Largest numbers of devices: see [`device_number`].
const MAX_MAJOR: u32 = 0xFFF;
const MAX_MINOR: u32 = 0xF_FFFF;

fn excess_of(path: &TreePath, node: &Node) -> Option<String> {
    let name = split(path).1.len();
    if name > MAX_NAME {
        return Some(format!("has a name of {name} bytes, and {MAX_NAME} are possible"));
    }
    for (key, value) in &node.xattrs {
        let name = String::from_utf8_lossy(key);
        if key.len() > MAX_XATTR_NAME {
            let (len, most) = (key.len(), MAX_XATTR_NAME);
            return Some(format!("has an attribute whose name has {len} bytes, and {most} are possible"));
        }
        if value.len() > MAX_XATTR_VALUE {
            let (len, most) = (value.len(), MAX_XATTR_VALUE);
            return Some(format!("has {len} bytes in its attribute {name}, and {most} are possible"));
        }
    }
    match &node.kind {
        Kind::Symlink(target) if target.len() > MAX_TARGET => {
            Some(format!("is a link whose target has {} bytes, and {MAX_TARGET} are possible", target.len()))
        }
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor }
            if *major > MAX_MAJOR || *minor > MAX_MINOR =>
        {
            Some(format!("is the device {major}:{minor}, and numbers go up to {MAX_MAJOR}:{MAX_MINOR}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Origin;
    use std::sync::Arc;

    fn tree(nodes: Vec<(&str, Node)>) -> Tree {
        let mut tree = Tree::new();
        for (path, node) in nodes {
            tree.insert(path.as_bytes(), node).unwrap();
        }
        tree
    }

    #[test]
    fn names_are_counted_and_directories_name_their_inodes() {
        let origin = Arc::new(Origin::default());
        let file = |text: &str| Node::file(text.as_bytes(), 0o644, &origin);
        let tree = tree(vec![
            ("a/b/c", file("1")),
            ("a/b-c", file("2")),
            ("a/z", Node::generated(Kind::Hardlink(b"a/b/c".to_vec()), 0, &origin)),
        ]);
        let root = root_of(&tree);
        let inodes = Inodes::of(&tree, &root);
        let seen: Vec<_> = inodes
            .iter()
            .map(|(number, inode)| (number, inode.path, inode.links, inode.parent, inode.children.clone()))
            .collect();
        assert_eq!(
            seen,
            [
                (0, &b""[..], 3, 0, vec![(&b"a"[..], 1)]),
                (1, b"a", 3, 0, vec![(b"b", 2), (b"b-c", 3), (b"z", 4)]),
                (2, b"a/b", 2, 1, vec![(b"c", 4)]),
                (3, b"a/b-c", 1, 1, vec![]),
                (4, b"a/b/c", 2, 2, vec![]),
            ]
        );
    }

    #[test]
    fn what_is_too_large_says_how_large_it_is_and_may_be() {
        let origin = Arc::new(Origin::default());
        let with = |name: &str, value: usize| {
            let mut node = Node::file(&b""[..], 0o644, &origin);
            node.xattrs.insert(name.as_bytes().to_vec(), vec![0; value]);
            node
        };
        let device = |major, minor| Node::generated(Kind::CharDevice { major, minor }, 0o600, &origin);
        for (path, node, said) in [
            ("n".repeat(256), with("user.a", 1), Some("a name of 256 bytes, and 255 are possible")),
            ("n".repeat(255), with("user.a", 65_536), None),
            (
                "x".into(),
                with("user.a", 65_537),
                Some("/x of kernel () has 65537 bytes in its attribute user.a"),
            ),
            ("x".into(), with(&"u".repeat(256), 1), Some("whose name has 256 bytes")),
            ("x".into(), Node::symlink(&[b'a'; 4096], &origin), Some("target has 4096 bytes, and 4095")),
            ("x".into(), Node::symlink(&[b'a'; 4095], &origin), None),
            ("x".into(), device(4096, 0), Some("the device 4096:0, and numbers go up to 4095:1048575")),
            ("x".into(), device(4095, 1_048_575), None),
        ] {
            let found = excess(&tree(vec![(&path, node)]));
            match said {
                Some(said) => assert!(found.as_ref().is_some_and(|found| found.contains(said)), "{found:?}"),
                None => assert_eq!(found, None),
            }
        }
    }
}
