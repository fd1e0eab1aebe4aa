//! Equal files of different containers become one file with several names.
//!
//! Containers bring the same libraries along. In a root that is unpacked into memory each copy would take its room there, and
//! be read again by each program that runs it; on a disk, each would be read into memory on its own. Nobody writes to the files of an image: a container has them read-only, or
//! below an overlay.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::Arc;

use image_layout::initrd::Unpacked;
use image_layout::{LOWER, ONBOOT, ONSHUTDOWN, ROOTFS, SERVICES};

use crate::image::{Digest, Hashing};
use crate::tree::{Content, Kind, Node, Tree, TreePath, display};

use super::OutputError;

/// Smaller files are left alone: they take a page of memory, and while the kernel unpacks a file with several names it
/// keeps a page about it (Linux, init/initramfs.c, `struct hash`).
const SMALLEST: u64 = 2 * Unpacked::PAGE;

/// The tree with one file for all that are equal: content, mode, owner, time and attributes. The first in the tree's order
/// is the file, the others are hard links to it.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn share(tree: &Tree) -> Result<Tree, OutputError> {
    let mut shared = tree.clone();
    for (copy, file) in copies(tree)? {
        // Its other names first: the last name that is replaced takes the copy along.
        for name in tree.links(copy).chain([copy]) {
            let link = Node::generated(Kind::Hardlink(file.clone()), 0, &Arc::default());
            shared.insert(name, link).map_err(|error| OutputError::Unfit {
                format: "the root filesystem",
                reason: format!("{} cannot be a link to {}: {error}", display(name), display(file)),
            })?;
        }
    }
    Ok(shared)
}

/// Files that are equal to an earlier one, each with that one.
fn copies(tree: &Tree) -> Result<Vec<(&TreePath, &TreePath)>, OutputError> {
    let mut alike: BTreeMap<_, Vec<(&TreePath, &Node, &Content)>> = BTreeMap::new();
    for (path, node) in tree.iter().filter(|(path, _)| is_of_an_image(path)) {
        if let Kind::File(content) = &node.kind
            && content.len() >= SMALLEST
        {
            let look = (content.len(), node.mode, node.uid, node.gid, node.mtime, &node.xattrs);
            alike.entry(look).or_default().push((path, node, content));
        }
    }
    let mut copies = Vec::new();
    for files in alike.into_values().filter(|files| files.len() > 1) {
        let mut first = BTreeMap::new();
        for (path, node, content) in files {
            let digest = digest(content).map_err(|source| OutputError::Copy {
                path: display(path),
                origin: node.origin.to_string(),
                into: "the root filesystem".into(),
                source,
            })?;
            match first.entry(digest) {
                Entry::Vacant(none) => drop(none.insert(path)),
                Entry::Occupied(file) => copies.push((path, *file.get())),
            }
        }
    }
    Ok(copies)
}

fn digest(content: &Content) -> io::Result<Digest> {
    let mut hashing = Hashing::new(io::sink());
    content.copy_to(&mut hashing)?;
    Ok(hashing.finish().1)
}

/// Whether it is in a container's files from its image: `containers/KIND/NAME/lower/…` or `…/rootfs/…`.
fn is_of_an_image(path: &[u8]) -> bool {
    [ONBOOT, ONSHUTDOWN, SERVICES].iter().any(|kind| {
        let below = path.strip_prefix(kind.as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
        let files = below.and_then(|rest| rest.split(|&byte| byte == b'/').nth(1));
        files.is_some_and(|files| [LOWER, ROOTFS].map(str::as_bytes).contains(&files))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Origin;

    /// What a path is in a tree: its content, or `-> file`.
    fn looks(tree: &Tree, path: &str) -> String {
        match &tree.get(path.as_bytes()).unwrap().kind {
            Kind::Hardlink(file) => format!("-> {}", display(file)),
            Kind::File(content) => format!("{} bytes", content.len()),
            kind => format!("{kind:?}"),
        }
    }

    fn tree(files: &[(&str, usize, u32)]) -> Tree {
        let origin = Arc::new(Origin::default());
        let mut tree = Tree::new();
        for (path, len, mode) in files {
            tree.insert(path.as_bytes(), Node::file(vec![7; *len], *mode, &origin)).unwrap();
        }
        tree
    }

    #[test]
    fn equal_files_of_containers_become_names_of_the_first() {
        let (a, b, c) = (
            "containers/onboot/000-a/lower/lib/c.so",
            "containers/services/b/rootfs/lib/c.so",
            "containers/services/c/lower/other",
        );
        let shared = share(&tree(&[(a, 9000, 0o755), (b, 9000, 0o755), (c, 9000, 0o755)])).unwrap();
        assert_eq!(looks(&shared, a), "9000 bytes");
        assert_eq!([b, c].map(|path| looks(&shared, path)), [(); 2].map(|()| format!("-> /{a}")));
        assert_eq!(shared.links(a.as_bytes()).count(), 2);
    }

    #[test]
    fn the_names_of_a_copy_go_along_with_it() {
        let (a, b, second) = (
            "containers/services/a/lower/x",
            "containers/services/b/lower/x",
            "containers/services/b/lower/y",
        );
        let mut tree = tree(&[(a, 9000, 0o755), (b, 9000, 0o755)]);
        let link = Node::generated(Kind::Hardlink(b.into()), 0, &Arc::default());
        tree.insert(second.as_bytes(), link).unwrap();
        let shared = share(&tree).unwrap();
        assert_eq!([b, second].map(|path| looks(&shared, path)), [(); 2].map(|()| format!("-> /{a}")));
        assert_eq!(shared.links(b.as_bytes()).count(), 0);
    }

    #[test]
    fn what_differs_in_anything_or_may_be_written_stays_apart() {
        let other = |path: &str, len: usize, mode: u32| {
            let shared =
                share(&tree(&[("containers/services/a/lower/x", 9000, 0o755), (path, len, mode)])).unwrap();
            looks(&shared, path)
        };
        assert_eq!(other("containers/services/b/lower/x", 9000, 0o755), "-> /containers/services/a/lower/x");
        assert_eq!(other("containers/services/b/lower/x", 9000, 0o4755), "9000 bytes", "the mode");
        assert_eq!(other("containers/services/b/lower/x", 9001, 0o755), "9001 bytes", "the content");
        assert_eq!(other("containers/volumes/b/lower/x", 9000, 0o755), "9000 bytes", "a volume");
        assert_eq!(other("containers/services/b/config.json", 9000, 0o755), "9000 bytes", "no image's");
        assert_eq!(other("usr/bin/x", 9000, 0o755), "9000 bytes", "the machine's own");
        let small =
            tree(&[("containers/services/a/lower/x", 9, 0o755), ("containers/services/b/lower/x", 9, 0o755)]);
        assert_eq!(looks(&share(&small).unwrap(), "containers/services/b/lower/x"), "9 bytes");
    }
}
