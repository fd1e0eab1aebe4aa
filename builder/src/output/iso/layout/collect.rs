//! A tree → directories with their children, identifiers and numbers.

use std::collections::HashMap;

use super::{Child, Directory, Later, Layout, Stored, Target};
use crate::image::Digest;
use crate::output::iso::IsoError;
use crate::output::iso::identifier::{identifiers, order};
use crate::output::iso::record::Extent;
use crate::output::iso::rock_ridge::Attributes;
use crate::tree::{Content, GENERATED_MTIME, Kind, Node, Tree, display, split};

/// Linux hides files with longer names (`fs/isofs/rock.c`, `get_rock_ridge_filename`).
const LONGEST_NAME: usize = 253;
/// And reads a link's target into one page.
const LONGEST_TARGET: usize = 4095;
/// Directories are numbered with 16 bits.
const MOST_DIRECTORIES: usize = u16::MAX as usize;

const IS_PIPE: u32 = 0o010_000;
const IS_CHAR: u32 = 0o020_000;
const IS_DIRECTORY: u32 = 0o040_000;
const IS_BLOCK: u32 = 0o060_000;
const IS_FILE: u32 = 0o100_000;
const IS_LINK: u32 = 0o120_000;

impl<'t> Layout<'t> {
    pub(super) fn collect(&mut self, tree: &'t Tree, later: &[Later]) -> Result<(), IsoError> {
        let mut numbers: HashMap<&[u8], usize> = HashMap::from([(&[][..], 0)]);
        let mut regular: HashMap<&[u8], (u32, Target)> = HashMap::new();
        let mut same: HashMap<(Digest, u64, u64), usize> = HashMap::new();
        let root = tree.root();
        self.directories.push(Directory::new(root, Vec::new(), 0, 1));
        for (serial, (path, node)) in (2_u32..).zip(tree.iter()) {
            let (parent, name) = split(path);
            if name.len() > LONGEST_NAME {
                return Err(IsoError::Name { path: display(path), len: name.len() });
            }
            let parent = numbers[parent];
            let mut child =
                Child { path, node, identifier: Vec::new(), serial, links: 1, target: Target::Nothing };
            match &node.kind {
                Kind::Directory => {
                    let number = self.directories.len();
                    numbers.insert(path, number);
                    self.directories.push(Directory::new(Some(node), Vec::new(), parent, serial));
                    self.directories[parent].attributes.links += 1;
                    child.target = Target::Directory(number);
                }
                Kind::File(content) => {
                    child.links += tree.links(path).count() as u32;
                    child.target = match later.iter().position(|later| later.path == *path) {
                        Some(at) => Target::Later(at),
                        None => Target::File(self.store(path, node, content, &mut same)),
                    };
                    regular.insert(path, (serial, child.target));
                }
                Kind::Hardlink(file) => {
                    let of_file = tree.get(file);
                    child.node = of_file.unwrap_or(node);
                    child.links += tree.links(file).count() as u32;
                    (child.serial, child.target) = regular[&file[..]];
                }
                Kind::Symlink(target) if target.len() > LONGEST_TARGET => {
                    return Err(IsoError::Link { path: display(path), len: target.len() });
                }
                Kind::Symlink(_) | Kind::CharDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo => {}
            }
            self.directories[parent].children.push(child);
        }
        match self.directories.len() {
            count if count > MOST_DIRECTORIES => Err(IsoError::Directories(count)),
            _ => Ok(()),
        }
    }

    /// Keeps a content, or finds the one that it shares its bytes with: layers that several images have are one file in the cache.
    fn store(
        &mut self,
        path: &'t [u8],
        node: &'t Node,
        content: &'t Content,
        same: &mut HashMap<(Digest, u64, u64), usize>,
    ) -> usize {
        let next = self.files.len();
        if let Content::Stretch { file, offset, len } = content {
            let known = *same.entry((file.digest(), *offset, *len)).or_insert(next);
            if known != next {
                return known;
            }
        }
        self.files.push(Stored { path, node, content, first: 0 });
        next
    }

    /// Gives everything its identifier, and directories their numbers: by depth, then by their parents, then by name.
    pub(super) fn number(&mut self) -> Result<(), IsoError> {
        for directory in &mut self.directories {
            let names: Vec<_> = directory
                .children
                .iter()
                .map(|child| (split(child.path).1, child.node.is_directory()))
                .collect();
            for (child, identifier) in directory.children.iter_mut().zip(identifiers(&names)) {
                child.identifier = identifier;
            }
            directory.children.sort_by_cached_key(|child| order(&child.identifier));
        }
        let mut at = 0;
        while let Some(&number) = self.numbered.get(at) {
            for child in 0..self.directories[number].children.len() {
                let child = &self.directories[number].children[child];
                if let Target::Directory(below) = child.target {
                    self.numbered.push(below);
                    self.directories[below].identifier = child.identifier.clone();
                }
            }
            at += 1;
        }
        Ok(())
    }
}

impl Directory<'_> {
    pub(super) fn new(node: Option<&Node>, identifier: Vec<u8>, parent: usize, serial: u32) -> Self {
        let (mode, uid, gid, mtime) =
            node.map_or((0o755, 0, 0, GENERATED_MTIME), |node| (node.mode, node.uid, node.gid, node.mtime));
        let attributes = Attributes { mode: IS_DIRECTORY | mode, links: 2, uid, gid, serial };
        Self { identifier, parent, attributes, mtime, children: Vec::new(), extent: Extent::default() }
    }
}

impl Child<'_> {
    pub(super) fn attributes(&self) -> Attributes {
        let kind = match self.node.kind {
            Kind::Directory => IS_DIRECTORY,
            Kind::File(_) | Kind::Hardlink(_) => IS_FILE,
            Kind::Symlink(_) => IS_LINK,
            Kind::CharDevice { .. } => IS_CHAR,
            Kind::BlockDevice { .. } => IS_BLOCK,
            Kind::Fifo => IS_PIPE,
        };
        let Node { mode, uid, gid, .. } = *self.node;
        Attributes { mode: kind | mode, links: self.links, uid, gid, serial: self.serial }
    }
}
