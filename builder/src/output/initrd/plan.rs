//! How a tree is split into segments.

use std::collections::BTreeMap;

use crate::tree::{Content, Kind, Location, Node, Tree, TreePath, display};

use super::super::{OutputError, cpio};
use super::marks::Marks;

/// A segment that has this many bytes is complete. Smaller ones use more cores, change less often, and take less memory to
/// unpack; larger ones compress better. With containerd's 67 MB in one, the benchmark's initrd has 23.4 MB instead of
/// 25.9 MB and takes 3.9 s on two cores instead of 2.8 s.
const SEGMENT: u64 = 32 << 20;

/// Entries that become one archive, in this order.
#[derive(Debug, Default)]
pub(super) struct Segment<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    /// Bytes of the archive so far, uncompressed, without its end.
    pub(super) bytes: u64,
}

/// One entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) path: &'a TreePath,
    pub(super) node: &'a Node,
    /// Number in its segment, from 1; the names of one file share it.
    pub(super) inode: u32,
    /// Number of names.
    pub(super) links: u32,
    /// What follows the header.
    pub(super) body: Body<'a>,
}

/// What follows a header.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body<'a> {
    Empty,
    File(&'a Content),
    Symlink(&'a [u8]),
}

impl Body<'_> {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::File(content) => content.len(),
            Self::Symlink(target) => target.len() as u64,
        }
    }
}

/// Splits a tree.
///
/// 1. All directories, so that they come before what is in them whoever put it there, and the first mark.
/// 2. What each item of the YAML brought, item by item.
/// 3. The files that the builder made itself: small, and what changes most; and the last mark.
///
/// # Errors
/// When a file is larger than cpio archives can hold.
pub(super) fn plan<'a>(tree: &'a Tree, marks: Option<&'a Marks>) -> Result<Vec<Segment<'a>>, OutputError> {
    let mut directories = Segment::default();
    let mut items: BTreeMap<Location, Vec<Segment<'_>>> = BTreeMap::new();
    let mut generated = Segment::default();
    for (path, node) in tree.iter() {
        if Marks::are_at(path) {
            // Of another initrd, whose files are in the tree.
            continue;
        }
        let body = match &node.kind {
            Kind::Directory => {
                directories.push_directory(path, node);
                continue;
            }
            // With its file.
            Kind::Hardlink(_) => continue,
            Kind::File(content) if content.len() > cpio::MAX_SIZE => {
                return Err(too_large(path, node, content.len()));
            }
            Kind::File(content) => Body::File(content),
            Kind::Symlink(target) => Body::Symlink(target),
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo => Body::Empty,
        };
        let segment = match &node.kind {
            Kind::File(Content::Bytes(_)) => &mut generated,
            _ => open_segment(items.entry(node.origin.location).or_default()),
        };
        segment.push_file(path, node, tree, body);
    }
    if let Some(marks) = marks {
        for (path, node) in &marks.directories {
            directories.push_directory(path, node);
        }
        directories.push_mark(&marks.first);
        generated.push_mark(&marks.last);
    }
    let mut segments = vec![directories];
    segments.extend(items.into_values().flatten());
    segments.push(generated);
    segments.retain(|segment| !segment.entries.is_empty());
    Ok(segments)
}

fn open_segment<'a, 'b>(segments: &'b mut Vec<Segment<'a>>) -> &'b mut Segment<'a> {
    if segments.last().is_none_or(|last| last.bytes >= SEGMENT) {
        segments.push(Segment::default());
    }
    let last = segments.len() - 1;
    &mut segments[last]
}

impl<'a> Segment<'a> {
    /// A file with all its names: the content follows the last one, as cpio(1) does it.
    fn push_file(&mut self, path: &'a TreePath, node: &'a Node, tree: &'a Tree, body: Body<'a>) {
        let names = tree.links(path).count();
        let links = u32::try_from(names).unwrap_or(u32::MAX).saturating_add(1);
        let inode = self.next_inode();
        for link in tree.links(path) {
            self.push(Entry { path: link, node, inode, links, body: Body::Empty });
        }
        self.push(Entry { path, node, inode, links, body });
    }

    fn push_directory(&mut self, path: &'a TreePath, node: &'a Node) {
        let inode = self.next_inode();
        self.push(Entry { path, node, inode, links: 2, body: Body::Empty });
    }

    fn push_mark(&mut self, (path, node): &'a (TreePath, Node)) {
        let body = match &node.kind {
            Kind::File(content) => Body::File(content),
            _ => Body::Empty,
        };
        let inode = self.next_inode();
        self.push(Entry { path, node, inode, links: 1, body });
    }

    fn next_inode(&self) -> u32 {
        self.entries.last().map_or(1, |last| last.inode + 1)
    }

    fn push(&mut self, entry: Entry<'a>) {
        self.bytes += cpio::size(entry.path, entry.body.len());
        self.entries.push(entry);
    }
}

fn too_large(path: &[u8], node: &Node, len: u64) -> OutputError {
    let reason = format!(
        "{} of {} has {len} bytes, and an initrd holds files of at most {}; build a disk format or tar",
        display(path),
        node.origin,
        cpio::MAX_SIZE
    );
    OutputError::Unfit { format: "an initrd", reason }
}
