//! Images, read by xorriso.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::tree::{Content, Kind, Node, Origin, Tree};

/// A tree with everything that ISO 9660 alone cannot say.
fn tree() -> Tree {
    let origin = Arc::new(Origin::default());
    let mut tree = Tree::new();
    let mut add = |path: &str, kind: Kind, mode: u32| {
        let node = Node { uid: 70_000, gid: 5, ..Node::generated(kind, mode, &origin) };
        tree.insert(path.as_bytes(), node).unwrap();
    };
    let deep = vec!["deep"; 20].join("/");
    let long = "l".repeat(253);
    let target = format!("/{}x", "way/../".repeat(100));
    let file = |text: &str| Kind::File(Content::from(text.as_bytes()));
    add("bin/a", file("program"), 0o4755);
    add("bin/b", Kind::Hardlink(b"bin/a".to_vec()), 0);
    add("bin/sh", Kind::Symlink(b"../bin/./a".to_vec()), 0o777);
    add("Readme.txt", file("one"), 0o644);
    add("README.TXT", file("two"), 0o600);
    add("empty", file(""), 0o644);
    add("dev/null", Kind::CharDevice { major: 1, minor: 3 }, 0o666);
    add("dev/vdb", Kind::BlockDevice { major: 253, minor: 16 }, 0o660);
    add("dev/pipe", Kind::Fifo, 0o600);
    add("tmp", Kind::Directory, 0o1777);
    add(&format!("{deep}/bottom"), file("deep"), 0o644);
    add(&format!("names/{long}"), file("long"), 0o644);
    add(&format!("names/{}", "ü".repeat(100)), Kind::Symlink(target.into_bytes()), 0o777);
    for number in 0..200 {
        add(&format!("many/a-file-with-a-long-name-{number}"), file(&number.to_string().repeat(700)), 0o644);
    }
    tree
}

fn image(tree: &Tree) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let layout = Layout::of(tree, &[]).unwrap();
    let identity = Identity::new("test").unwrap();
    let sectors = layout.sectors();
    Volume { layout: &layout, identity: &identity, boot_catalogue: None, sectors }.write(&mut file).unwrap();
    assert_eq!(file.as_file().metadata().unwrap().len(), u64::from(sectors) * SECTOR);
    file
}

fn xorriso(image: &Path, args: &[&str]) -> String {
    let mut command = Command::new("xorriso");
    let out =
        command.args(["-abort_on", "WARNING", "-hardlinks", "on", "-indev"]).arg(image).args(args).output();
    let out = out.expect("running xorriso");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// `-rw-r--r--`, of a node that is no link to a file.
fn permissions(node: &Node) -> String {
    let kind = match node.kind {
        Kind::Directory => 'd',
        Kind::File(_) | Kind::Hardlink(_) => '-',
        Kind::Symlink(_) => 'l',
        Kind::CharDevice { .. } => 'c',
        Kind::BlockDevice { .. } => 'b',
        Kind::Fifo => 'p',
    };
    let letter = |(at, letter)| if node.mode & (0o400_u32 >> at) == 0 { '-' } else { letter };
    let mut text: Vec<char> = "rwxrwxrwx".chars().enumerate().map(letter).collect();
    for (bit, at, letter) in [(0o4000, 2, 's'), (0o2000, 5, 's'), (0o1000, 8, 't')] {
        if node.mode & bit != 0 {
            text[at] = letter;
        }
    }
    std::iter::once(kind).chain(text).collect()
}

/// What `ls -l` says of everything in the tree, but for its time: permissions, owner, group, size or device, name.
fn expected(tree: &Tree) -> BTreeSet<String> {
    let line = |(path, node): (&Vec<u8>, &Node)| {
        let node = match &node.kind {
            Kind::Hardlink(file) => tree.get(file).unwrap(),
            _ => node,
        };
        let path = crate::tree::display(path);
        let (size, target) = match &node.kind {
            Kind::File(content) => (content.len().to_string(), String::new()),
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                (format!("{major},{minor}"), String::new())
            }
            Kind::Symlink(target) => ("0".into(), format!(" -> '{}'", String::from_utf8_lossy(target))),
            _ => ("0".into(), String::new()),
        };
        format!("{} {} {} {size} '{path}'{target}", permissions(node), node.uid, node.gid)
    };
    tree.iter().map(line).collect()
}

#[test]
fn xorriso_lists_what_the_tree_has() {
    let tree = tree();
    let image = image(&tree);
    let listed = xorriso(image.path(), &["-find", "/", "-exec", "lsdl", "--"]);
    let found: BTreeSet<String> = listed
        .lines()
        .filter(|line| !line.ends_with(" '/'"))
        .map(|line| {
            let (attributes, name) = line.split_at(line.find('\'').unwrap());
            let words: Vec<&str> = attributes.split_whitespace().collect();
            let [mode, _links, uid, gid, size, "Apr", "18", "2017"] = words[..] else { panic!("{line}") };
            format!("{mode} {uid} {gid} {size} {name}")
        })
        .collect();
    let expected = expected(&tree);
    assert_eq!(expected.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new(), "missing");
    assert_eq!(found.difference(&expected).collect::<Vec<_>>(), Vec::<&String>::new(), "too much");
}

#[test]
fn xorriso_extracts_what_the_tree_has_and_files_of_two_names_are_one() {
    let tree = tree();
    let image = image(&tree);
    let dir = tempfile::tempdir().unwrap();
    let mut args = vec!["-osirrox".to_owned(), "on".into()];
    for name in ["bin", "deep", "names", "many", "Readme.txt", "README.TXT", "empty"] {
        args.extend(["-extract".into(), format!("/{name}"), dir.path().join(name).display().to_string()]);
    }
    xorriso(image.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
    let mut compared = 0;
    for (path, _) in tree.iter() {
        if let Some(content) = tree.file(path).filter(|_| tree.get(path).is_some_and(is_file)) {
            let extracted = fs::read(dir.path().join(std::str::from_utf8(path).unwrap())).unwrap();
            assert!(extracted == content.read_all(1 << 20).unwrap(), "{}", crate::tree::display(path));
            compared += 1;
        }
    }
    assert_eq!(compared, 207);
    let inode = |name: &str| fs::metadata(dir.path().join("bin").join(name)).unwrap().ino();
    assert_eq!(inode("a"), inode("b"));
}

fn is_file(node: &Node) -> bool {
    matches!(node.kind, Kind::File(_) | Kind::Hardlink(_))
}

#[test]
fn two_images_of_one_tree_are_equal() {
    let bytes = || fs::read(image(&tree()).path()).unwrap();
    assert!(bytes() == bytes());
}

#[test]
fn contents_of_one_place_in_the_cache_are_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("layer");
    fs::write(&path, vec![7; 100_000]).unwrap();
    let digest = crate::image::Digest::of(&[7; 100_000]);
    let file = Arc::new(crate::image::VerifiedFile::open(&path, digest, None).unwrap());
    let origin = Arc::new(Origin::default());
    let mut tree = Tree::new();
    let stretch = |offset| Content::Stretch { file: Arc::clone(&file), offset, len: 50_000 };
    let mut sectors = Vec::new();
    for (name, offset) in [("a", 0), ("b", 0), ("c", 512)] {
        tree.insert(name.as_bytes(), Node::file(stretch(offset), 0o644, &origin)).unwrap();
        sectors.push(Layout::of(&tree, &[]).unwrap().sectors());
    }
    assert_eq!((sectors[1] - sectors[0], sectors[2] - sectors[1]), (0, 25));
}

#[test]
fn what_linux_would_not_show_or_iso_9660_cannot_hold_is_refused_before_anything_is_written() {
    let origin = Arc::new(Origin::default());
    let refused = |path: &str, kind: Kind| {
        let mut tree = Tree::new();
        tree.insert(path.as_bytes(), Node::generated(kind, 0o644, &origin)).unwrap();
        Layout::of(&tree, &[]).unwrap_err().to_string()
    };
    let file = || Kind::File(Content::from(&b""[..]));
    assert!(refused(&format!("x/{}", "n".repeat(254)), file()).contains("254 bytes"));
    assert!(refused("link", Kind::Symlink(vec![b'x'; 4096])).contains("4096 bytes"));
    let mut tree = Tree::new();
    tree.insert(b"large", Node::generated(file(), 0o644, &origin)).unwrap();
    let large = |len| Layout::of(&tree, &[Later { path: b"large".to_vec(), len, alignment: 1 }]);
    let error = large(9 << 40).unwrap_err().to_string();
    assert!(error.contains("9216 GiB, 1025 GiB more than the 8 TiB"), "{error}");
    assert_eq!(large(5 << 30).unwrap().later()[0].len, 5 << 30);
}

#[test]
fn a_file_of_more_than_4_gib_is_in_extents_that_follow_each_other() {
    let origin = Arc::new(Origin::default());
    let mut tree = Tree::new();
    tree.insert(b"large", Node::file(&b""[..], 0o644, &origin)).unwrap();
    let len = (5 << 30) + 7;
    let layout = Layout::of(&tree, &[Later { path: b"large".to_vec(), len, alignment: 1 }]).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let (identity, sectors) = (Identity::new("large").unwrap(), layout.sectors());
    Volume { layout: &layout, identity: &identity, boot_catalogue: None, sectors }.write(&mut file).unwrap();
    file.as_file().set_len(u64::from(sectors) * SECTOR).unwrap();
    let listed = xorriso(file.path(), &["-lsdl", "/large"]);
    assert!(listed.contains(&format!(" {len} ")), "{listed}");
    // `File data lba: number, first sector, sectors, bytes of the file, 'path'`
    let extents = xorriso(file.path(), &["-find", "/large", "-exec", "report_lba", "--"]);
    let numbers = |line: &str| -> Vec<u64> {
        line.split([':', ',']).filter_map(|word| word.trim().parse().ok()).collect()
    };
    let found: Vec<Vec<u64>> =
        extents.lines().filter(|line| line.starts_with("File data")).map(numbers).collect();
    let first = u64::from(layout.later()[0].first);
    let most = record::LARGEST_EXTENT / SECTOR;
    let rest = len.div_ceil(SECTOR) - most;
    assert_eq!(found, [[0, first, most, len], [1, first + most, rest, len]], "{extents}");
}
