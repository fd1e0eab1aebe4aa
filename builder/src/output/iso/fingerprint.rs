//! A number that is a machine's own: what its file system is found by.

use sha2::{Digest as _, Sha256};

use crate::output::Machine;
use crate::tree::{Content, Kind, Node};

/// The number of a machine: another one for another kernel, command line, or anything else in its tree. Contents in the cache
/// count by the digest that they were verified with, so nothing is read.
pub(super) fn of(machine: &Machine) -> u64 {
    let mut hash = Hash(Sha256::new());
    hash.bytes(machine.cmdline.as_bytes());
    for content in [&machine.kernel, &machine.ucode].into_iter().flatten() {
        hash.content(content);
    }
    if let Some(root) = machine.root.root() {
        hash.node(root);
    }
    for (path, node) in machine.root.iter() {
        hash.bytes(path);
        hash.node(node);
    }
    let digest = hash.0.finalize();
    u64::from_le_bytes(std::array::from_fn(|at| digest[at]))
}

/// A digest of values, each with its length or of a fixed one.
struct Hash(Sha256);

impl Hash {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn numbers(&mut self, numbers: [u32; 3]) {
        numbers.into_iter().for_each(|number| self.number(number.into()));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn content(&mut self, content: &Content) {
        match content {
            Content::Bytes(bytes) => self.bytes(bytes),
            Content::Stretch { file, offset, len } => {
                self.bytes(file.digest().bytes());
                self.number(*offset);
                self.number(*len);
            }
        }
    }

    fn node(&mut self, node: &Node) {
        for number in [node.mode.into(), node.uid.into(), node.gid.into(), node.mtime] {
            self.number(number);
        }
        match &node.kind {
            Kind::Directory => self.number(0),
            Kind::File(content) => {
                self.number(1);
                self.content(content);
            }
            Kind::Symlink(target) => {
                self.number(2);
                self.bytes(target);
            }
            Kind::Hardlink(file) => {
                self.number(3);
                self.bytes(file);
            }
            Kind::CharDevice { major, minor } => self.numbers([4, *major, *minor]),
            Kind::BlockDevice { major, minor } => self.numbers([5, *major, *minor]),
            Kind::Fifo => self.number(6),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tree::{Origin, Tree};

    #[test]
    fn another_machine_has_another_number() {
        let machine = |cmdline: &str, mode: u32, text: &str| {
            let mut root = Tree::new();
            let file = Node::file(text.as_bytes(), mode, &Arc::new(Origin::default()));
            root.insert(b"file", file).unwrap();
            of(&Machine { cmdline: cmdline.into(), root, ..Machine::default() })
        };
        let one = machine("a", 0o644, "x");
        assert_eq!(one, machine("a", 0o644, "x"));
        for other in [machine("b", 0o644, "x"), machine("a", 0o600, "x"), machine("a", 0o644, "y")] {
            assert_ne!(one, other);
        }
    }
}
