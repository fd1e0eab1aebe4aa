//! How a tree comes into a directory where other files may be. Pure: paths in, steps out.
//!
//! A path is swapped as high up as it can be without touching what is somebody else's:
//!
//! | there | new | step |
//! | --- | --- | --- |
//! | nothing | anything | move |
//! | file, link, device | file | move, which replaces it whole (and never follows a link); a placeholder gives way |
//! | a directory with only our files | anything | exchange |
//! | a directory with others' files | directory | its entries, one by one |
//! | a directory with others' files | file | conflict |
//! | our file | directory | exchange |
//! | another's file or link | directory | conflict |

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{Entries, Node};

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory, not a link to one.
    Directory,
    /// Anything else.
    Other,
}

/// Paths below the directory, components joined by `/`.
pub type Paths = BTreeSet<String>;

/// One step, on a path that is the same in the staging directory and in the live one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Rename the staged entry over what is there.
    Move(String),
    /// Exchange the staged entry with what is there.
    Exchange(String),
}

/// Everything that is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// What earlier runs left and nobody wants any more: children before their directories.
    pub stale: Vec<(String, Kind)>,
    /// Wanted, and not possible without harm to what is there.
    pub conflicts: Vec<String>,
    /// What is ours afterwards.
    pub ours: Paths,
}

/// Plans `new` onto `live`, of which `ours` is what earlier runs made. With `keep_earlier`, what they made stays and
/// counts as there.
#[must_use]
pub fn plan(live: &BTreeMap<String, Kind>, ours: &Paths, new: &Entries, keep_earlier: bool) -> Plan {
    let mut planner = Planner { live, earlier: ours, keep_earlier, plan: Plan::default() };
    planner.entries(new, "");
    planner.finish()
}

struct Planner<'a> {
    live: &'a BTreeMap<String, Kind>,
    earlier: &'a Paths,
    keep_earlier: bool,
    plan: Plan,
}

impl Planner<'_> {
    fn entries(&mut self, entries: &Entries, parent: &str) {
        for (name, node) in entries {
            let path = join(parent, name.as_str());
            self.place(&path, node);
        }
    }

    fn place(&mut self, path: &str, node: &Node) {
        let replaceable = self.earlier.contains(path) && !self.keep_earlier;
        match (self.live.get(path), node) {
            (None, _) => self.step(Step::Move, path, node),
            (Some(Kind::Directory), Node::Directory { entries, .. }) => {
                if self.only_ours(path) {
                    self.step(Step::Exchange, path, node);
                } else {
                    if self.earlier.contains(path) {
                        self.plan.ours.insert(path.to_owned());
                    }
                    self.entries(entries, path);
                }
            }
            (Some(Kind::Directory), Node::File { .. }) if self.only_ours(path) => {
                self.step(Step::Exchange, path, node);
            }
            (Some(Kind::Other), Node::Directory { .. }) if replaceable => {
                self.step(Step::Exchange, path, node)
            }
            (Some(Kind::Other), Node::File { placeholder: true, .. }) if !replaceable => {
                if self.earlier.contains(path) {
                    self.plan.ours.insert(path.to_owned());
                }
            }
            (Some(Kind::Other), Node::File { .. }) => self.step(Step::Move, path, node),
            (Some(_), _) => self.plan.conflicts.push(path.to_owned()),
        }
    }

    fn step(&mut self, step: fn(String) -> Step, path: &str, node: &Node) {
        self.plan.steps.push(step(path.to_owned()));
        self.own(path, node);
    }

    fn own(&mut self, path: &str, node: &Node) {
        if let Node::Directory { entries, .. } = node {
            for (name, child) in entries {
                self.own(&join(path, name.as_str()), child);
            }
        }
        self.plan.ours.insert(path.to_owned());
    }

    /// Whether earlier runs made the directory and everything in it, and it may go.
    fn only_ours(&self, directory: &str) -> bool {
        !self.keep_earlier
            && self.earlier.contains(directory)
            && below(self.live, directory).all(|path| self.earlier.contains(path))
    }

    fn finish(mut self) -> Plan {
        if self.keep_earlier {
            self.plan.ours.extend(self.earlier.iter().cloned());
            return self.plan;
        }
        let exchanged = |path: &str| {
            self.plan.steps.iter().any(|step| match step {
                Step::Exchange(top) => is_below(path, top),
                Step::Move(_) => false,
            })
        };
        let unwanted = self.earlier.iter().filter(|path| !self.plan.ours.contains(*path) && !exchanged(path));
        let mut stale: Vec<_> =
            unwanted.filter_map(|path| Some((path.clone(), *self.live.get(path)?))).collect();
        stale.reverse();
        self.plan.stale = stale;
        self.plan
    }
}

/// `parent/name`, or `name` at the top.
#[must_use]
pub fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

fn below<'a>(live: &'a BTreeMap<String, Kind>, directory: &'a str) -> impl Iterator<Item = &'a String> {
    live.keys().filter(move |path| is_below(path, directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Name;
    use proptest::prelude::*;

    /// `a`, `d/`, `d/b`: a directory ends in `/` and comes before what is in it.
    fn live(paths: &[&str]) -> BTreeMap<String, Kind> {
        let kind = |p: &str| if p.ends_with('/') { Kind::Directory } else { Kind::Other };
        paths.iter().map(|p| (p.trim_end_matches('/').to_owned(), kind(p))).collect()
    }

    fn paths(list: &[&str]) -> Paths {
        list.iter().map(ToString::to_string).collect()
    }

    fn tree(list: &[&str]) -> Entries {
        let mut entries = Entries::new();
        for path in list {
            let mut at = &mut entries;
            let (parents, leaf) = path.rsplit_once('/').unwrap_or(("", path));
            for parent in parents.split('/').filter(|p| !p.is_empty()) {
                let node = at
                    .entry(Name::new(parent).unwrap())
                    .or_insert_with(|| Node::directory(0o755, Entries::new()));
                let Node::Directory { entries, .. } = node else { panic!("{parent} is a file") };
                at = entries;
            }
            if !leaf.is_empty() {
                let (leaf, node) = match leaf.strip_suffix('?') {
                    Some(leaf) => (leaf, Node::placeholder(0o600)),
                    None => (leaf, Node::file(0o644, "")),
                };
                at.insert(Name::new(leaf).unwrap(), node);
            }
        }
        entries
    }

    fn steps(plan: &Plan) -> Vec<String> {
        let text = |step: &Step| match step {
            Step::Move(path) => format!("move {path}"),
            Step::Exchange(path) => format!("exchange {path}"),
        };
        let stale = plan.stale.iter().map(|(path, _)| format!("remove {path}"));
        let conflicts = plan.conflicts.iter().map(|path| format!("conflict {path}"));
        plan.steps.iter().map(text).chain(stale).chain(conflicts).collect()
    }

    #[test]
    fn a_tree_goes_in_as_high_up_as_it_can_without_touching_what_is_not_ours() {
        // what is there, what of it is ours, what is wanted, what is done
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [&'a str]);
        let cases: &[Case] = &[
            (&[], &[], &["a", "d/b"], &["move a", "move d"]),
            (&["a"], &[], &["a"], &["move a"]),
            (&["a"], &["a"], &[], &["remove a"]),
            (&["a"], &[], &["b"], &["move b"]),
            (&["d/", "d/x"], &[], &["d/b"], &["move d/b"]),
            (&["d/"], &[], &["d/b"], &["move d/b"]),
            (&["d/", "d/b"], &["d", "d/b"], &["d/b"], &["exchange d"]),
            (&["d/", "d/b", "d/x"], &["d", "d/b"], &["d/b"], &["move d/b"]),
            (&["d/", "d/b", "d/x"], &["d", "d/b"], &["d/c"], &["move d/c", "remove d/b"]),
            (&["d/", "d/b", "d/c"], &["d", "d/b", "d/c"], &["d/b"], &["exchange d"]),
            (
                &["d/", "d/e/", "d/e/f"],
                &["d", "d/e", "d/e/f"],
                &[],
                &["remove d/e/f", "remove d/e", "remove d"],
            ),
            (&["d/", "d/b"], &["d", "d/b"], &["d"], &["exchange d"]),
            (&["d/", "d/x"], &[], &["d"], &["conflict d"]),
            (&["d"], &[], &["d/b"], &["conflict d"]),
            (&["d"], &["d"], &["d/b"], &["exchange d"]),
            (&["d", "dd"], &["d", "dd"], &["d/b"], &["exchange d", "remove dd"]),
            // gone behind our back
            (&[], &["a", "d", "d/b"], &["a"], &["move a"]),
            // placeholders give way to others' files and replace ours
            (&["ssh/", "ssh/k"], &[], &["ssh/k?"], &[]),
            (&["ssh/"], &[], &["ssh/k?"], &["move ssh/k"]),
            (&["ssh/", "ssh/k"], &["ssh", "ssh/k"], &["ssh/k?"], &["exchange ssh"]),
            (&["ssh/", "ssh/k", "ssh/x"], &["ssh/k"], &["ssh/k?"], &["move ssh/k"]),
        ];
        for (there, ours, new, wanted) in cases {
            let plan = plan(&live(there), &paths(ours), &tree(new), false);
            assert_eq!(steps(&plan), *wanted, "{new:?} onto {there:?}, of which {ours:?} are ours");
        }
    }

    #[test]
    fn when_earlier_files_are_kept_nothing_of_theirs_is_replaced_or_removed() {
        let there = live(&["hostname", "ssh/", "ssh/k"]);
        let ours = paths(&["hostname", "ssh", "ssh/k"]);
        let plan = plan(&there, &ours, &tree(&["ssh/k?"]), true);
        assert_eq!(steps(&plan), [""; 0]);
        assert_eq!(plan.ours, ours, "a later run could not clean up");
    }

    #[test]
    fn what_is_ours_afterwards_is_what_was_put_there_and_never_a_foreign_directory() {
        let there = live(&["d/", "d/x", "y"]);
        let plan = plan(&there, &paths(&[]), &tree(&["d/b", "e/f", "y"]), false);
        assert_eq!(plan.ours, paths(&["d/b", "e", "e/f", "y"]));
    }

    /// What a run leaves, by the plan's own words.
    fn apply(live: &BTreeMap<String, Kind>, new: &Entries, plan: &Plan) -> BTreeMap<String, Kind> {
        fn node_at<'a>(entries: &'a Entries, path: &str) -> &'a Node {
            let (first, rest) = path.split_once('/').map_or((path, None), |(f, r)| (f, Some(r)));
            match (&entries[&Name::new(first).unwrap()], rest) {
                (node, None) => node,
                (Node::Directory { entries, .. }, Some(rest)) => node_at(entries, rest),
                (Node::File { .. }, Some(_)) => panic!("{path}"),
            }
        }
        fn put(after: &mut BTreeMap<String, Kind>, path: &str, node: &Node) {
            match node {
                Node::File { .. } => drop(after.insert(path.to_owned(), Kind::Other)),
                Node::Directory { entries, .. } => {
                    after.insert(path.to_owned(), Kind::Directory);
                    for (name, node) in entries {
                        put(after, &join(path, name.as_str()), node);
                    }
                }
            }
        }
        let mut after = live.clone();
        for step in &plan.steps {
            let (Step::Move(path) | Step::Exchange(path)) = step;
            if matches!(step, Step::Move(_)) {
                assert_ne!(after.get(path), Some(&Kind::Directory), "rename onto directory {path}");
            }
            after.retain(|p, _| p != path && !is_below(p, path));
            put(&mut after, path, node_at(new, path));
        }
        for (path, kind) in &plan.stale {
            assert_eq!(after.get(path), Some(kind), "{path} is not what it was");
            if *kind == Kind::Other || !after.keys().any(|p| is_below(p, path)) {
                after.remove(path);
            }
        }
        after
    }

    fn any_tree() -> impl Strategy<Value = Entries> {
        let name = || "[a-c]".prop_map(|n| Name::new(&n).unwrap());
        let leaf = prop_oneof![Just(Node::file(0o644, "")), Just(Node::placeholder(0o600))];
        let node = leaf.prop_recursive(3, 12, 3, move |inner| {
            proptest::collection::btree_map(name(), inner, 0..3).prop_map(|e| Node::directory(0o755, e))
        });
        proptest::collection::btree_map("[a-c]".prop_map(|n| Name::new(&n).unwrap()), node, 0..4)
    }

    fn flatten(entries: &Entries) -> BTreeMap<String, Kind> {
        let nothing = BTreeMap::new();
        apply(&nothing, entries, &plan(&nothing, &Paths::new(), entries, false))
    }

    proptest! {
        #[test]
        fn others_files_stay_wanted_ones_are_there_and_unwanted_ones_of_ours_are_gone(
            theirs in any_tree(), first in any_tree(), second in any_tree()
        ) {
            let image = flatten(&theirs);
            let plan1 = plan(&image, &Paths::new(), &first, false);
            let after1 = apply(&image, &first, &plan1);
            let plan2 = plan(&after1, &plan1.ours, &second, false);
            let after2 = apply(&after1, &second, &plan2);

            for (path, kind) in &image {
                // A file that the first run replaced became ours; everything else of the image is as it was.
                if !plan1.ours.contains(path) {
                    prop_assert_eq!(after2.get(path), Some(kind), "{} of the image", path);
                }
            }
            let conflicting = |path: &str| plan2.conflicts.iter().any(|c| path == c || is_below(path, c));
            for (path, kind) in flatten(&second) {
                prop_assert!(conflicting(&path) || after2.get(&path) == Some(&kind), "{} is missing", path);
            }
            for path in &plan1.ours {
                let wanted = flatten(&second).contains_key(path) || plan2.ours.contains(path);
                let holds_others = after2.keys().any(|p| is_below(p, path) && !plan1.ours.contains(p));
                prop_assert!(wanted || holds_others || !after2.contains_key(path), "{} is stale", path);
            }
        }
    }
}
