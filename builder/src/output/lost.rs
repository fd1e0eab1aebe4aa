//! What an output cannot keep.

use crate::tree::{Node, Tree, display};

/// How many lost attributes a warning names.
const NAMED: usize = 3;

/// What of a tree is not in an output.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Names of files with extended attributes.
    xattrs: Vec<String>,
}

impl Lost {
    /// What is lost where extended attributes are.
    pub(super) fn attributes_of(tree: &Tree) -> Self {
        let has_some = tree.iter().filter(|(_, node)| !node.xattrs.is_empty());
        let name = |(path, node): (&Vec<u8>, &Node)| {
            let names: Vec<_> =
                node.xattrs.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
            format!("{} ({})", display(path), names.join(", "))
        };
        Self { xattrs: has_some.map(name).collect() }
    }

    /// What the user is told; `kind` is the output, with its article.
    pub(super) fn warning(&self, kind: &str) -> Option<String> {
        let first = self.xattrs.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        match self.xattrs.len() {
            0 => None,
            n if n <= NAMED => Some(format!("{kind} cannot keep extended attributes: lost on {first}")),
            n => Some(format!(
                "{kind} cannot keep extended attributes: lost on {first} and {} more",
                n - NAMED
            )),
        }
    }
}
