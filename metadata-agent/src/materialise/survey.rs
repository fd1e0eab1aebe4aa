//! What earlier runs, and the image, have left in the directory.

use std::collections::{BTreeMap, BTreeSet};

use nix::errno::Errno;

use super::compose::{There, join};
use super::directory::{Directory, Kind};
use super::names::{DATA, IMAGE, is_internal, link_text, tree_number};

/// Deepest directory of the image that is laid below a tree.
const MAX_DEPTH: usize = 16;
/// Most entries that one tree of the image is believed to have.
const MAX_ENTRIES: usize = 16 * 1024;

/// A failure and the path that it is about.
pub(super) type Failure = (String, Errno);

/// The directory's entries, by what they are.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The tree that is shown.
    pub(super) current: Option<u64>,
    /// A number that no tree has.
    pub(super) next: u64,
    /// Names whose entry is a link into the tree.
    pub(super) taken: BTreeSet<String>,
    /// Names with anything else.
    pub(super) others: BTreeSet<String>,
    /// Names of the image's own that were put aside.
    pub(super) aside: BTreeSet<String>,
    /// What a run that died has left, at the top or one below.
    pub(super) leftovers: Vec<String>,
}

impl Survey {
    /// Looks around.
    pub(super) fn of(live: &Directory) -> Result<Self, Failure> {
        let mut survey = Self { current: current(live), next: 1, ..Self::default() };
        for (name, kind) in live.list("").map_err(|cause| (String::new(), cause))? {
            match tree_number(&name) {
                Some(number) => {
                    survey.next = survey.next.max(number.saturating_add(1));
                    if survey.current != Some(number) {
                        survey.leftovers.push(name);
                    }
                }
                None if name == IMAGE && kind == Kind::Directory => survey.look_aside(live)?,
                None if name == DATA && survey.current.is_some() => {}
                None if is_internal(&name) => survey.leftovers.push(name),
                None if is_link(live, "", &name) => {
                    survey.taken.insert(name);
                }
                None => {
                    survey.others.insert(name);
                }
            }
        }
        Ok(survey)
    }

    fn look_aside(&mut self, live: &Directory) -> Result<(), Failure> {
        for (name, _) in live.list(IMAGE).map_err(|cause| (IMAGE.to_owned(), cause))? {
            // A link that was to change places with the image's own.
            if is_link(live, IMAGE, &name) {
                self.leftovers.push(join(IMAGE, &name));
            } else {
                self.aside.insert(name);
            }
        }
        Ok(())
    }
}

/// Whether the entry is a link into the tree.
fn is_link(live: &Directory, parent: &str, name: &str) -> bool {
    live.read_link(&join(parent, name)).is_ok_and(|text| text == link_text(name))
}

fn current(live: &Directory) -> Option<u64> {
    let name = live.read_link(DATA).ok()?;
    live.open(&name).ok()?;
    tree_number(&name)
}

/// What is at a path, to its depth; none if nothing is.
pub(super) fn there(live: &Directory, path: &str) -> Result<Option<There>, Failure> {
    let mut left = MAX_ENTRIES;
    match live.kind(path) {
        Ok(kind) => look(live, path, kind, MAX_DEPTH, &mut left).map(Some),
        Err(Errno::ENOENT) => Ok(None),
        Err(cause) => Err((path.to_owned(), cause)),
    }
}

fn look(live: &Directory, path: &str, kind: Kind, depth: usize, left: &mut usize) -> Result<There, Failure> {
    let failed = |cause| (path.to_owned(), cause);
    *left = left.checked_sub(1).ok_or_else(|| failed(Errno::EOVERFLOW))?;
    if kind != Kind::Directory {
        return Ok(There::Other);
    }
    let depth = depth.checked_sub(1).ok_or_else(|| failed(Errno::ENAMETOOLONG))?;
    let (mode, owner) = live.open(path).and_then(|directory| directory.mode_and_owner()).map_err(failed)?;
    let mut entries = BTreeMap::new();
    for (name, kind) in live.list(path).map_err(failed)? {
        let below = look(live, &join(path, &name), kind, depth, left)?;
        entries.insert(name, below);
    }
    Ok(There::Directory { mode, owner, entries })
}
