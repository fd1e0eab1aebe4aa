//! What `fsck.erofs`, `dump.erofs` and Linux find in images of ours.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::*;
use crate::output::tests::file_systems::{
    LARGE, Listing, assert_same, file, listing, listing_of_directory, noise, run, sample, trees,
    with_large_file,
};

fn image(tree: &Tree) -> (tempfile::NamedTempFile, Guid) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_owned();
    let (id, len) = write(tree, file.as_file_mut(), &path).unwrap();
    assert_eq!(file.as_file().metadata().unwrap().len(), len);
    (file, id)
}

/// What `look` finds in an image that Linux has mounted.
fn mounted<T>(image: &tempfile::NamedTempFile, look: impl Fn(&Path) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    run("mount", &["-t", "erofs", "-o", "loop,ro", image.path().to_str().unwrap(), at]);
    let found = catch_unwind(AssertUnwindSafe(|| look(dir.path())));
    run("umount", &[at]);
    found.unwrap()
}

/// Unpacks an image into a directory; attributes are not unpacked.
fn unpack(image: &tempfile::NamedTempFile) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let extract = format!("--extract={}", dir.path().join("root").display());
    run("fsck.erofs", &[&extract, "--overwrite", image.path().to_str().unwrap()]);
    dir
}

/// What `fsck.erofs` unpacks: it makes no links, and changes the owner last: Linux then takes the set-user-ID bit away.
fn unpacked_by_fsck(tree: &Tree) -> Listing {
    let mut bare = Tree::new();
    for (path, node) in [(&Vec::new(), &inodes::root_of(tree))].into_iter().chain(tree.iter()) {
        let kind = match &node.kind {
            Kind::Hardlink(file) => tree.get(file).unwrap().kind.clone(),
            kind => kind.clone(),
        };
        let mode = if node.is_directory() { node.mode } else { node.mode & 0o1777 };
        let node = crate::tree::Node { kind, xattrs: BTreeMap::new(), mode, ..node.clone() };
        bare.insert(path, node).unwrap();
    }
    listing(&bare)
}

#[test]
fn linux_mounts_the_tree_as_it_was_with_owners_times_links_devices_and_attributes() {
    let mut tree = sample();
    let mut acl = file(b"acl".to_vec());
    let list = [&[2, 0, 0, 0][..], &[1, 0, 6, 0, 255, 255, 255, 255], &[4, 0, 4, 0, 255, 255, 255, 255]];
    let list = [&list.concat()[..], &[32, 0, 4, 0, 255, 255, 255, 255]].concat();
    acl.xattrs.insert(b"system.posix_acl_access".to_vec(), list);
    tree.insert(b"acl", acl).unwrap();
    assert_same(&mounted(&image(&tree).0, listing_of_directory), &listing(&tree));
}

#[test]
fn fsck_unpacks_the_tree_and_finds_nothing_wrong() {
    let tree = sample();
    let (image, id) = image(&tree);
    assert_same(&listing_of_directory(&unpack(&image).path().join("root")), &unpacked_by_fsck(&tree));
    let said = run("dump.erofs", &["-s", image.path().to_str().unwrap()]);
    assert!(said.contains(&id.to_string()), "{id}: {said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn linux_mounts_any_tree_as_it_was_and_fsck_finds_nothing_wrong(tree in trees()) {
        let (image, _) = image(&tree);
        assert_same(&mounted(&image, listing_of_directory), &listing(&tree));
        run("fsck.erofs", &[image.path().to_str().unwrap()]);
    }
}

#[test]
fn the_same_tree_is_the_same_bytes_and_another_one_has_another_identity() {
    let bytes = |tree: &Tree| {
        let (file, id) = image(tree);
        (fs::read(file.path()).unwrap(), id)
    };
    let mut tree = sample();
    let one = bytes(&tree);
    assert!(one == bytes(&tree));
    tree.insert(b"more", file(noise(10, 1))).unwrap();
    assert_ne!(one.1, bytes(&tree).1);
}

#[test]
#[ignore = "writes 4 GiB"]
fn a_file_of_more_than_four_gibibytes_keeps_its_length_and_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = image(&with_large_file(dir.path()));
    let found = mounted(&image, |dir| {
        let mut file = fs::File::open(dir.join("large")).unwrap();
        let mut end = Vec::new();
        file.seek(SeekFrom::End(-8)).unwrap();
        file.read_to_end(&mut end).unwrap();
        (file.metadata().unwrap().len(), end)
    });
    assert_eq!(found, (LARGE, b"\0the end".to_vec()));
}

#[test]
fn what_erofs_cannot_hold_is_refused_before_anything_is_written() {
    let refused = |node: crate::tree::Node| {
        let mut tree = Tree::new();
        tree.insert(b"odd", node).unwrap();
        write(&tree, &mut tempfile::tempfile().unwrap(), Path::new("image")).unwrap_err().to_string()
    };
    let mut odd = file(Vec::new());
    odd.xattrs.insert(b"system.other".to_vec(), vec![2]);
    let error = refused(odd);
    assert!(error.contains("/odd") && error.contains("system.other"), "{error}");
    let mut much = file(Vec::new());
    for number in 0..5 {
        much.xattrs.insert(format!("user.{number}").into_bytes(), vec![0; 60_000]);
    }
    let error = refused(much);
    assert!(error.contains("attributes of 300052 bytes, and 262148 are possible"), "{error}");
}
