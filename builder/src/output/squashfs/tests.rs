//! What `unsquashfs` finds in images of ours.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;

use super::*;
use crate::output::tests::file_systems::{
    LARGE, assert_same, file, listing, listing_of_directory, node, noise, run, sample, trees, with_large_file,
};

fn image(tree: &Tree) -> Result<tempfile::NamedTempFile, OutputError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_owned();
    write(tree, file.as_file_mut(), &path).map(|_| file)
}

/// Unpacks an image into a directory.
fn unpack(image: &tempfile::NamedTempFile) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (to, from) = (dir.path().to_str().unwrap(), image.path().to_str().unwrap());
    run("unsquashfs", &["-quiet", "-no-progress", "-force", "-strict-errors", "-dest", to, from]);
    dir
}

fn check(tree: &Tree) {
    assert_same(&listing_of_directory(unpack(&image(tree).unwrap()).path()), &listing(tree));
}

#[test]
fn unsquashfs_unpacks_the_tree_as_it_was_with_owners_times_links_devices_and_attributes() {
    check(&sample());
}

#[test]
fn an_empty_tree_is_an_empty_directory() {
    check(&Tree::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn unsquashfs_unpacks_any_tree_as_it_was(tree in trees()) {
        check(&tree);
    }
}

#[test]
fn the_bytes_depend_on_the_content_alone_and_not_on_the_number_of_cores() {
    let tree = sample();
    let mut bytes = Vec::new();
    for cores in [1, 2, 7] {
        let mut file = tempfile::tempfile().unwrap();
        let id = write_on(cores, &tree, &mut file, Path::new("image")).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut image = Vec::new();
        file.read_to_end(&mut image).unwrap();
        assert_eq!(image.len() % 4096, 0);
        bytes.push((id, image));
    }
    assert!(bytes.iter().all(|one| *one == bytes[0]), "images differ");
}

#[test]
fn equal_files_are_stored_once_and_zeros_not_at_all() {
    let mut tree = Tree::new();
    let mut size = |path: &str, bytes: Vec<u8>| {
        tree.insert(path.as_bytes(), file(bytes)).unwrap();
        image(&tree).unwrap().as_file().metadata().unwrap().len()
    };
    let one = size("a", noise(1 << 20, 1));
    assert_eq!(size("b", noise(1 << 20, 1)), one);
    assert_eq!(size("c", vec![0; 64 << 20]), one);
    assert!(size("d", noise(1 << 20, 2)) >= one + (1 << 20));
}

#[test]
fn a_file_of_more_than_four_gibibytes_keeps_its_length_its_end_and_its_holes() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(&with_large_file(dir.path())).unwrap();
    assert!(image.as_file().metadata().unwrap().len() < 1 << 20);
    let unpacked = unpack(&image);
    let mut file = fs::File::open(unpacked.path().join("large")).unwrap();
    let metadata = file.metadata().unwrap();
    assert_eq!(metadata.len(), LARGE);
    assert!(metadata.blocks() * 512 < 1 << 20, "holes");
    file.seek(SeekFrom::End(-8)).unwrap();
    let mut end = Vec::new();
    file.read_to_end(&mut end).unwrap();
    assert_eq!(end, b"\0the end");
}

#[test]
fn what_squashfs_cannot_hold_is_refused_before_anything_is_written() {
    let refused = |tree: &Tree| image(tree).unwrap_err().to_string();
    let mut tree = Tree::new();
    let mut odd = file(Vec::new());
    odd.xattrs.insert(b"system.posix_acl_access".to_vec(), vec![2]);
    tree.insert(b"acl", odd).unwrap();
    let error = refused(&tree);
    assert!(error.contains("/acl") && error.contains("system.posix_acl_access"), "{error}");
    let mut tree = Tree::new();
    for id in 0..65_536 {
        let path = format!("{id}");
        tree.insert(path.as_bytes(), node(Kind::Fifo, 0o600, (id, 0), 0)).unwrap();
    }
    let error = refused(&tree);
    assert!(error.contains("65536 users and groups, and 65535 are possible"), "{error}");
}
