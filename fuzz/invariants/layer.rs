//! A layer of an image from anywhere, as an uncompressed tar archive.
//!
//! Holds for every archive: it is refused; or all that its files contain lies within it, one behind the other, and the
//! tree that it becomes, written as an archive and applied again, has the same paths.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use lkb::image::{Digest, EntryKind, VerifiedFile, entries};
use lkb::output::{Format, Machine, Tar};
use lkb::tree::{Location, Origin, Tree};
use sha2::{Digest as _, Sha256};

/// Checks one archive.
pub fn check(data: &[u8]) {
    let Ok(entries) = entries(data, 0, data.len() as u64) else { return };
    let mut end = 0;
    for entry in &entries {
        if let EntryKind::File { offset, len } = entry.kind {
            assert!(offset >= end, "contents overlap");
            end = offset.checked_add(len).expect("an end");
            assert!(end <= data.len() as u64, "content beyond the archive");
        }
    }
    let Some(tree) = applied(data) else { return };
    let paths = |tree: &Tree| tree.iter().map(|(path, _)| path.clone()).collect::<BTreeSet<_>>();
    for path in paths(&tree) {
        assert!(path.split(|&b| b == b'/').all(|part| !matches!(part, b".." | b".")), "{path:?}");
        assert_ne!(path.first(), Some(&b'/'), "{path:?}");
    }
    let before = paths(&tree);
    let machine = Machine { root: tree, ..Machine::default() };
    let mut archive = Vec::new();
    if Tar.stream(&machine, &mut archive).expect("tar is a stream").is_ok() {
        let again = applied(&archive).expect("what was written can be read");
        assert_eq!(paths(&again), before);
    }
}

/// The tree that the archive becomes on top of nothing.
fn applied(archive: &[u8]) -> Option<Tree> {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").expect("a file in memory");
    file.write_all(archive).expect("it can be written");
    let digest: String = Sha256::digest(archive).iter().map(|byte| format!("{byte:02x}")).collect();
    let digest: Digest = format!("sha256:{digest}").parse().expect("a digest");
    let file = Arc::new(VerifiedFile::open(file.path(), digest, None).expect("it has this digest"));
    let mut tree = Tree::new();
    let origin = Arc::new(Origin { source: "fuzz".to_owned(), location: Location::Kernel });
    tree.apply(&file, 0, archive.len() as u64, &origin).ok().map(|()| tree)
}
