//! How a new tree is laid over what is there already. Pure: two trees in, one out.
//!
//! | there | new | composed |
//! | --- | --- | --- |
//! | nothing | anything | the new one |
//! | file, link, device | file | the new one, but a placeholder gives way |
//! | directory | directory | both, one over the other, with the new permissions |
//! | directory | file | conflict: what is there stays |
//! | file, link, device | directory | conflict: what is there stays |

use std::collections::BTreeMap;

use crate::tree::{Entries, Node, Owner};

/// What is there at a name, without following links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum There {
    /// A directory and what is in it.
    Directory {
        /// Permissions.
        mode: u32,
        /// Whose it is.
        owner: Owner,
        /// By name.
        entries: BTreeMap<String, There>,
    },
    /// Anything else.
    Other,
}

/// What is to be at a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A file to be written; always [`Node::File`].
    New(&'a Node),
    /// What is there: another link to it.
    Same,
    /// A directory.
    Directory {
        /// Permissions.
        mode: u32,
        /// Whose it is, if not the writer's.
        owner: Option<Owner>,
        /// By name.
        entries: Items<'a>,
    },
}

/// Items by name.
pub type Items<'a> = BTreeMap<String, Item<'a>>;

/// A composed tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Composed<'a> {
    /// Everything, what is there and what is new.
    pub items: Items<'a>,
    /// Wanted, and not possible without harm to what is there.
    pub conflicts: Vec<String>,
}

/// Lays `new` over `there`.
#[must_use]
pub fn compose<'a>(there: &BTreeMap<String, There>, new: &'a Entries) -> Composed<'a> {
    let mut conflicts = Vec::new();
    let items = over(there, new, "", &mut conflicts);
    Composed { items, conflicts }
}

fn over<'a>(
    there: &BTreeMap<String, There>,
    new: &'a Entries,
    parent: &str,
    conflicts: &mut Vec<String>,
) -> Items<'a> {
    let mut items: Items<'a> = there.iter().map(|(name, known)| (name.clone(), same(known))).collect();
    for (name, node) in new {
        let name = name.as_str();
        let path = join(parent, name);
        let item = match (there.get(name), node) {
            (None, node) => fresh(node),
            (Some(There::Directory { owner, entries, .. }), Node::Directory { mode, entries: new }) => {
                let entries = over(entries, new, &path, conflicts);
                Item::Directory { mode: *mode, owner: Some(*owner), entries }
            }
            (Some(There::Other), Node::File { placeholder: true, .. }) => Item::Same,
            (Some(There::Other), Node::File { .. }) => Item::New(node),
            (Some(known), _) => {
                conflicts.push(path);
                same(known)
            }
        };
        items.insert(name.to_owned(), item);
    }
    items
}

fn same<'a>(known: &There) -> Item<'a> {
    match known {
        There::Other => Item::Same,
        There::Directory { mode, owner, entries } => {
            let entries = entries.iter().map(|(name, known)| (name.clone(), same(known))).collect();
            Item::Directory { mode: *mode, owner: Some(*owner), entries }
        }
    }
}

fn fresh(node: &Node) -> Item<'_> {
    match node {
        Node::File { .. } => Item::New(node),
        Node::Directory { mode, entries } => {
            let entries =
                entries.iter().map(|(name, node)| (name.as_str().to_owned(), fresh(node))).collect();
            Item::Directory { mode: *mode, owner: None, entries }
        }
    }
}

/// Whether something about an item is new.
#[must_use]
pub fn is_news(there: Option<&There>, item: &Item<'_>) -> bool {
    match (there, item) {
        (Some(There::Directory { entries, .. }), Item::Directory { entries: items, .. }) => {
            items.iter().any(|(name, item)| is_news(entries.get(name), item))
        }
        (Some(_), Item::Same) => false,
        _ => true,
    }
}

/// `parent/name`, or `name` at the top.
#[must_use]
pub fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Name;
    use proptest::prelude::*;

    const ROOT: Owner = Owner { user: 0, group: 0 };

    fn directory(entries: BTreeMap<String, There>) -> There {
        There::Directory { mode: 0o755, owner: ROOT, entries }
    }

    fn there<const N: usize>(list: [(&str, There); N]) -> BTreeMap<String, There> {
        list.into_iter().map(|(name, there)| (name.to_owned(), there)).collect()
    }

    fn tree<const N: usize>(list: [(&str, Node); N]) -> Entries {
        list.into_iter().map(|(name, node)| (Name::new(name).unwrap(), node)).collect()
    }

    /// `path new`, `path same` for what is no directory.
    fn shown(items: &Items<'_>, parent: &str, found: &mut Vec<String>) {
        for (name, item) in items {
            let path = join(parent, name);
            match item {
                Item::New(_) => found.push(format!("{path} new")),
                Item::Same => found.push(format!("{path} same")),
                Item::Directory { mode, entries, .. } => {
                    found.push(format!("{path} {mode:o}"));
                    shown(entries, &path, found);
                }
            }
        }
    }

    fn composed(there: &BTreeMap<String, There>, new: &Entries) -> (Vec<String>, Vec<String>) {
        let composed = compose(there, new);
        let mut found = Vec::new();
        shown(&composed.items, "", &mut found);
        (found, composed.conflicts)
    }

    #[test]
    fn the_new_lies_over_what_is_there_and_harms_no_other_kind() {
        let image = there([
            (
                "app",
                directory(there([
                    ("base", There::Other),
                    ("port", There::Other),
                    ("sub", directory(there([]))),
                ])),
            ),
            ("motd", There::Other),
            ("key", There::Other),
        ]);
        let file = || Node::file(0o600, "x");
        let new = tree([
            ("app", Node::directory(0o700, tree([("port", file()), ("extra", file()), ("sub", file())]))),
            ("motd", Node::directory(0o755, tree([("x", file())]))),
            ("key", Node::placeholder(0o600)),
            ("other", Node::placeholder(0o600)),
        ]);
        let (found, conflicts) = composed(&image, &new);
        assert_eq!(
            found,
            [
                "app 700",
                "app/base same",
                "app/extra new",
                "app/port new",
                "app/sub 755",
                "key same",
                "motd same",
                "other new"
            ]
        );
        assert_eq!(conflicts, ["app/sub", "motd"]);
    }

    #[test]
    fn a_tree_that_is_there_already_is_no_news() {
        let image = there([("ssh", directory(there([("keys", There::Other)])))]);
        let placeholder =
            |name| tree([("ssh", Node::directory(0o700, tree([(name, Node::placeholder(0o600))])))]);
        for (name, news) in [("keys", false), ("other", true)] {
            let tree = placeholder(name);
            let composed = compose(&image, &tree);
            assert_eq!(is_news(image.get("ssh"), &composed.items["ssh"]), news, "{name}");
        }
    }

    fn some_there() -> impl Strategy<Value = There> {
        Just(There::Other).prop_recursive(3, 12, 4, |inner| {
            proptest::collection::btree_map("[a-c]", inner, 0..4).prop_map(directory)
        })
    }

    fn some_node() -> impl Strategy<Value = Node> {
        any::<bool>()
            .prop_map(|empty| if empty { Node::placeholder(0o600) } else { Node::file(0o644, "x") })
            .prop_recursive(3, 12, 4, |inner| {
                let name = "[a-c]".prop_map(|name| Name::new(&name).unwrap());
                proptest::collection::btree_map(name, inner, 0..4)
                    .prop_map(|entries| Node::directory(0o755, entries))
            })
    }

    /// Every path and whether it is a directory.
    fn paths(items: &Items<'_>, parent: &str, found: &mut BTreeMap<String, bool>) {
        for (name, item) in items {
            let path = join(parent, name);
            if let Item::Directory { entries, .. } = item {
                paths(entries, &path, found);
            }
            found.insert(path, matches!(item, Item::Directory { .. }));
        }
    }

    proptest! {
        #[test]
        fn nothing_of_either_is_lost_and_nothing_changes_its_kind(
            there in proptest::collection::btree_map("[a-c]", some_there(), 0..4),
            new in proptest::collection::btree_map("[a-c]".prop_map(|n| Name::new(&n).unwrap()), some_node(), 0..4),
        ) {
            let mut before = BTreeMap::new();
            paths(&compose(&there, &Entries::new()).items, "", &mut before);
            let mut wanted = BTreeMap::new();
            paths(&compose(&BTreeMap::new(), &new).items, "", &mut wanted);
            let composed = compose(&there, &new);
            let mut after = BTreeMap::new();
            paths(&composed.items, "", &mut after);
            for (path, kind) in &before {
                prop_assert_eq!(after.get(path), Some(kind), "{}", path);
            }
            for (path, kind) in &wanted {
                let conflict = composed.conflicts.iter().any(|c| path == c || path.starts_with(&format!("{c}/")));
                prop_assert!(conflict || after.get(path) == Some(kind), "{path}");
            }
        }
    }
}
