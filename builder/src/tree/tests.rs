//! Trees, and layers applied to them.

use std::io::Write;

use proptest::prelude::*;
use tar::EntryType;

use super::*;
use crate::image::fixture::Layer;
use crate::image::{Digest, VerifiedFile, entries};

pub(super) fn directory(mode: u32) -> Node {
    Node { mode, ..Node::directory(&Arc::default()) }
}

pub(super) fn file(text: &str) -> Node {
    Node::file(text.as_bytes(), 0o644, &Arc::default())
}

pub(super) fn symlink(target: &str) -> Node {
    Node::symlink(target.as_bytes(), &Arc::default())
}

pub(super) fn link(target: &str) -> Node {
    Node::generated(Kind::Hardlink(target.as_bytes().to_vec()), 0o644, &Arc::default())
}

pub(super) fn tree<const N: usize>(nodes: [(&str, Node); N]) -> Tree {
    let mut tree = Tree::new();
    for (path, node) in nodes {
        tree.insert(path.as_bytes(), node).unwrap();
    }
    check(&tree);
    tree
}

pub(super) fn content(tree: &Tree, path: &str) -> String {
    String::from_utf8(tree.file(path.as_bytes()).unwrap().read_all(1 << 20).unwrap()).unwrap()
}

/// `dir/ MODE`, `file=CONTENT`, `symlink->TARGET`, `hardlink=>FILE`.
pub(super) fn listing(tree: &Tree) -> Vec<String> {
    check(tree);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let line = |(path, node): (&TreePath, &Node)| {
        let path = text(path);
        match &node.kind {
            Kind::Directory => format!("{path}/ {:o}", node.mode),
            Kind::File(_) => format!("{path}={}", content(tree, &path)),
            Kind::Symlink(target) => format!("{path}->{}", text(target)),
            Kind::Hardlink(file) => format!("{path}=>{}", text(file)),
            other => format!("{path} {other:?}"),
        }
    };
    tree.iter().map(line).collect()
}

/// What every tree promises.
fn check(tree: &Tree) {
    let mut links: BTreeMap<TreePath, BTreeSet<TreePath>> = BTreeMap::new();
    for (path, node) in tree.iter() {
        assert_eq!(clean(path).as_ref(), Ok(path));
        let (parent, _) = split(path);
        assert!(
            parent.is_empty() || tree.get(parent).unwrap().is_directory(),
            "{} has no parent",
            display(path)
        );
        if let Kind::Hardlink(file) = &node.kind {
            assert!(file < path, "{} sorts before its file", display(path));
            assert!(matches!(tree.get(file).unwrap().kind, Kind::File(_)), "{} has no file", display(path));
            links.entry(file.clone()).or_default().insert(path.clone());
        }
    }
    assert_eq!(links, tree.links);
}

/// A layer as the cache would hand it out.
fn verified(archive: &[u8]) -> (tempfile::NamedTempFile, Arc<VerifiedFile>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(archive).unwrap();
    let verified = VerifiedFile::open(file.path(), Digest::of(archive), None).unwrap();
    (file, Arc::new(verified))
}

fn apply(tree: &mut Tree, layer: Layer) -> Result<(), String> {
    let archive = layer.finish();
    let (_kept, file) = verified(&archive);
    let applied = tree.apply(&file, 0, file.len(), &Arc::default()).map_err(|error| error.to_string());
    check(tree);
    applied
}

fn layers<const N: usize>(layers: [Layer; N]) -> Vec<String> {
    let mut tree = Tree::new();
    for layer in layers {
        apply(&mut tree, layer).unwrap();
    }
    listing(&tree)
}

fn layer() -> Layer {
    Layer::default()
}

#[test]
fn a_layer_has_every_kind_of_entry_with_all_that_belongs_to_it() {
    let long = "x/".repeat(100) + "name";
    let capability: &[u8] = b"\x01\0\0\x02\0\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let archive = layer()
        .dir("./")
        .dir("dev/")
        .raw(EntryType::Char, "dev/console", "", 0o600, b"")
        .raw(EntryType::Block, "dev/sda", "", 0o660, b"")
        .raw(EntryType::Fifo, "dev/initctl", "", 0o600, b"")
        .pax(&[
            ("SCHILY.xattr.security.capability", capability),
            ("uid", b"70000"),
            ("mtime", b"1.5"),
            ("comment", b"x"),
        ])
        .raw(EntryType::Regular, "bin/ping", "", 0o4755, b"ping")
        .symlink("bin/sh", "ping")
        .hardlink("bin/ping6", "./bin/ping")
        .pax(&[("path", long.as_bytes())])
        .file("short", "long")
        .raw(EntryType::GNULongName, "././@LongLink", "", 0o644, b"gnu\0")
        .file("short", "gnu")
        .finish();
    let (_kept, file) = verified(&archive);
    let mut tree = Tree::new();
    tree.apply(&file, 0, file.len(), &Arc::default()).unwrap();
    check(&tree);
    let ping = tree.get(b"bin/ping").unwrap();
    assert_eq!((ping.mode, ping.uid, ping.gid, ping.mtime), (0o4755, 70000, 2, 1));
    assert_eq!(ping.xattrs[&b"security.capability"[..]], capability, "a newline in a value does not end it");
    assert_eq!(tree.get(b"bin/ping6").unwrap().kind, Kind::Hardlink(b"bin/ping".to_vec()));
    assert_eq!(content(&tree, "bin/sh"), "ping");
    assert_eq!(content(&tree, &long), "long");
    assert_eq!(content(&tree, "gnu"), "gnu");
    assert_eq!(tree.get(b"dev/console").unwrap().kind, Kind::CharDevice { major: 5, minor: 1 });
    assert_eq!(tree.get(b"dev/sda").unwrap().kind, Kind::BlockDevice { major: 5, minor: 1 });
    assert_eq!(tree.get(b"dev/initctl").unwrap().kind, Kind::Fifo);
    assert_eq!(tree.root().unwrap().uid, 1);
    assert_eq!(tree.get(b"bin").unwrap().mode, 0o755, "a directory that no entry made is made");
}

#[test]
fn a_whiteout_removes_what_lower_layers_have() {
    assert_eq!(
        layers([
            layer().file("a/b/c", "1").file("a/d", "1").file("ab", "1"),
            layer().file("a/.wh.b", "").file(".wh.ab", "").file(".wh.absent", "")
        ]),
        ["a/ 755", "a/d=1"]
    );
}

#[test]
fn a_whiteout_spares_its_own_layer_wherever_it_stands() {
    for upper in [layer().file("a/b", "2").file("a/.wh.b", ""), layer().file("a/.wh.b", "").file("a/b", "2")]
    {
        assert_eq!(layers([layer().file("a/b/c", "1"), upper]), ["a/ 755", "a/b=2"]);
    }
}

#[test]
fn an_opaque_whiteout_empties_a_directory_of_lower_files_only() {
    for upper in [
        layer().dir("a").file("a/new", "2").file("a/.wh..wh..opq", ""),
        layer().dir("a").file("a/.wh..wh..opq", "").file("a/new", "2"),
    ] {
        assert_eq!(
            layers([layer().file("a/b/c", "1").file("a/d", "1").file("e", "1"), upper]),
            ["a/ 755", "a/new=2", "e=1"]
        );
    }
    assert_eq!(layers([layer().file("a", "1"), layer().file(".wh..wh..opq", "")]), [""; 0]);
}

#[test]
fn what_aufs_kept_is_neither_file_nor_whiteout() {
    assert_eq!(
        layers([layer().file(".wh..wh.plnk/1.2", "").file(".wh..wh.aufs", "").file("a", "1")]),
        ["a=1"]
    );
}

#[test]
fn a_file_whose_first_name_goes_lives_on_under_the_others() {
    let base = || layer().file("a", "1").hardlink("b", "a").hardlink("c", "b");
    assert_eq!(layers([base()]), ["a=1", "b=>a", "c=>a"]);
    assert_eq!(layers([base(), layer().file(".wh.a", "")]), ["b=1", "c=>b"]);
    assert_eq!(layers([base(), layer().file("a", "2")]), ["a=2", "b=1", "c=>b"]);
    assert_eq!(layers([base(), layer().file(".wh.b", "").file(".wh.a", "")]), ["c=1"]);
    assert_eq!(layers([base(), layer().file("b", "2")]), ["a=1", "b=2", "c=>a"]);
    // A name that sorts before the file it names.
    assert_eq!(
        layers([layer().file("b", "1").hardlink("a", "b").hardlink("c", "b")]),
        ["a=1", "b=>a", "c=>a"]
    );
    // To a file of a lower layer, in a directory that is replaced later.
    assert_eq!(
        layers([layer().file("d/a", "1"), layer().hardlink("e", "d/a"), layer().file("d", "2")]),
        ["d=2", "e=1"]
    );
    assert_eq!(
        layers([layer().symlink("s", "target"), layer().hardlink("t", "s")]),
        ["s->target", "t->target"]
    );
}

#[test]
fn a_directory_over_a_directory_changes_only_the_directory() {
    let upper = layer().raw(EntryType::Directory, "a", "", 0o700, b"");
    assert_eq!(layers([layer().dir("a").file("a/b", "1"), upper]), ["a/ 700", "a/b=1"]);
    assert_eq!(layers([layer().file("a/b", "1"), layer().file("a", "2")]), ["a=2"]);
    assert_eq!(layers([layer().file("a", "1"), layer().dir("a").file("a/b", "2")]), ["a/ 755", "a/b=2"]);
    assert_eq!(layers([layer().symlink("a", "b"), layer().dir("a")]), ["a/ 755"]);
}

#[test]
fn links_on_the_way_are_followed_inside_the_tree() {
    assert_eq!(
        layers([
            layer().dir("run").symlink("var/run", "/run").symlink("out", "../../../etc").symlink("here", "."),
            layer().file("var/run/a", "1").file("out/b", "1").file("here/here/c", "1").file("var/.wh.x", "")
        ]),
        [
            "c=1",
            "etc/ 755",
            "etc/b=1",
            "here->.",
            "out->../../../etc",
            "run/ 755",
            "run/a=1",
            "var/ 755",
            "var/run->/run"
        ]
    );
}

#[test]
fn hostile_entries_are_refused_by_name() {
    let many = "a/".repeat(3000);
    for (layer, reason) in [
        (layer().file("../evil", ""), r#"entry "../evil": its name leads out with .."#),
        (layer().file("a/../../evil", ""), "leads out with .."),
        (layer().file("/etc/passwd", ""), r#"entry "/etc/passwd": its name is absolute"#),
        (layer().hardlink("a", "../../etc/shadow"), r#"entry "a": its name leads out with .."#),
        (layer().hardlink("a", "/etc/shadow"), "is absolute"),
        (layer().hardlink("a", "absent"), "a hard link to /absent, which does not exist"),
        (layer().hardlink("a", "a"), "which does not exist"),
        (layer().dir("d").hardlink("a", "d"), "which is a directory"),
        (layer().file("a", "").file("a/b", ""), r#"entry "a/b": /a is not a directory"#),
        (layer().file("a", "").symlink("b", "a").file("b/c", ""), "/a is not a directory"),
        (layer().symlink("a", "b").symlink("b", "a").file("a/c", ""), "too many symbolic links"),
        (layer().file(".", ""), "the root is not a directory"),
        (layer().symlink("a", ""), "a link without a target"),
        (layer().file(".wh.", ""), "whiteout without a proper name"),
        (layer().file(".wh...", ""), "whiteout without a proper name"),
        (layer().file(".wh.a/b", ""), "whiteout without a proper name"),
        (layer().file("a/.wh...", ""), "whiteout without a proper name"),
        (layer().raw(EntryType::new(b'V'), "volume", "", 0, b""), r#"entry "volume": unknown entry type"#),
        (layer().raw(EntryType::GNUSparse, "s", "", 0, b""), "sparse files are not supported"),
        (layer().pax(&[("GNU.sparse.major", b"1")]).file("s", ""), "sparse files are not supported"),
        (layer().pax(&[("path", &[b'n'; 300])]).file("s", ""), "longer than 255 bytes"),
        (layer().pax(&[("path", many.as_bytes())]).file("s", ""), "more than 4095 bytes"),
        (layer().pax(&[("path", b"a\0b")]).file("s", ""), "a NUL"),
        (
            layer().pax(&[("size", b"99999999")]).file("s", ""),
            r#"entry "s": its 99999999 bytes end after the archive does"#,
        ),
        (layer().pax(&[("uid", b"4294967296")]).file("s", ""), "does not fit in 32 bits"),
        (layer().pax(&[("uid", b"x")]).file("s", ""), "a bad PAX header"),
        (layer().pax(&[("SCHILY.xattr.user.x", &[0; 65537])]).file("s", ""), "larger than Linux allows"),
        (layer().pax(&[("path", b"x")]), "an extension header without an entry"),
        (layer().raw(EntryType::XHeader, "p", "", 0, b"4 a=\n").file("a", ""), "is not a proper tar archive"),
        (layer().raw(EntryType::XHeader, "p", "", 0, b"99 a=b\n").file("a", ""), "a bad PAX header"),
        (layer().raw(EntryType::XHeader, "p", "", 0, b"0 a=b\n").file("a", ""), "a bad PAX header"),
        (
            layer().raw(EntryType::XHeader, "p", "", 0, &vec![b'x'; (1 << 20) + 1]).file("a", ""),
            "more than 1048576 bytes in one extension",
        ),
        (layer().bytes(&[0; 512]).file("a", ""), "a block of zeros between entries"),
        (layer().bytes(b"garbage"), "a header with a wrong checksum"),
    ] {
        let error = apply(&mut Tree::new(), layer).expect_err(reason);
        assert!(error.contains(reason), "{reason:?} is not in: {error}");
    }
}

#[test]
fn an_archive_that_stops_early_is_an_error_and_one_without_an_end_is_not() {
    let archive = layer().file("a", "content").finish();
    let read = |len: usize| entries(&archive[..len], 0, len as u64);
    assert_eq!(read(1024).unwrap().len(), 1, "no zero blocks at the end");
    assert_eq!(read(512 + 7).unwrap().len(), 1, "no padding at the end");
    assert_eq!(read(1536).unwrap().len(), 1, "one zero block");
    for len in [1, 100, 511, 513, 518] {
        assert!(read(len).is_err(), "{len} bytes were taken for an archive");
    }
    assert!(read(0).unwrap().is_empty());
}

#[test]
fn numbers_are_read_as_go_and_gnu_write_them() {
    let patch = |edit: &dyn Fn(&mut [u8])| {
        let mut archive = layer().file("a", "").finish();
        edit(&mut archive[..512]);
        archive[148..156].fill(b' ');
        let sum: u32 = archive[..512].iter().map(|&byte| u32::from(byte)).sum();
        archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        entries(&archive[..], 0, archive.len() as u64).map(|entries| entries[0].clone())
    };
    assert_eq!(patch(&|h| h[108..116].copy_from_slice(b"\x80\0\0\0\0\x01\0\0")).unwrap().uid, 65536);
    assert_eq!(patch(&|h| h[108..116].copy_from_slice(b"    17 \0")).unwrap().uid, 0o17);
    assert_eq!(patch(&|h| h[108..116].fill(0)).unwrap().uid, 0);
    assert_eq!(patch(&|h| h[136..148].fill(0xff)).unwrap().mtime, 0, "a time before the epoch");
    assert!(patch(&|h| h[108..116].copy_from_slice(b"12x    \0")).is_err());
    assert!(patch(&|h| h[108..116].copy_from_slice(b"\x80\0\0\x01\0\0\0\0")).is_err());
    assert!(patch(&|h| h[124..136].copy_from_slice(b"77777777777\0")).is_err());
    assert_eq!(
        patch(&|h| {
            h[156] = b'0';
            h[..2].copy_from_slice(b"a/")
        })
        .unwrap()
        .kind,
        crate::image::EntryKind::Directory
    );
}

#[test]
fn a_graft_moves_names_of_one_file_together() {
    let mut root = tree([("containers", directory(0o700))]);
    let mut image = tree([("a", file("1")), ("b", link("a"))]);
    image.insert(b"", directory(0o711)).unwrap();
    root.graft(b"containers/x/lower", image.clone(), &Arc::default()).unwrap();
    assert_eq!(
        listing(&root),
        [
            "containers/ 700",
            "containers/x/ 755",
            "containers/x/lower/ 711",
            "containers/x/lower/a=1",
            "containers/x/lower/b=>containers/x/lower/a"
        ]
    );
    assert!(matches!(root.graft(b"containers/x", image, &Arc::default()), Err(TreeError::Occupied { .. })));
}

#[test]
fn parents_keep_their_mode() {
    let mut tree = tree([("etc", directory(0o711))]);
    tree.insert(b"etc/x", file("1")).unwrap();
    tree.insert(b"new/dir/x", file("1")).unwrap();
    assert_eq!(listing(&tree), ["etc/ 711", "etc/x=1", "new/ 755", "new/dir/ 755", "new/dir/x=1"]);
    assert_eq!(tree.ensure_directory(b"etc", &Arc::default()).unwrap(), b"etc");
    assert_eq!(tree.get(b"etc").unwrap().mode, 0o711);
    assert!(tree.ensure_directory(b"etc/x", &Arc::default()).is_err());
}

/// Small archives over few names, so that entries meet.
fn arbitrary_layer() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        "[ab](/[ab]){0,2}",
        Just("a/.wh.b".into()),
        Just("a/.wh..wh..opq".into()),
        Just(".wh.a".into())
    ];
    let entry = (0..5_u8, name.clone(), name);
    proptest::collection::vec(entry, 0..12).prop_map(|entries| {
        entries
            .into_iter()
            .fold(layer(), |layer, (kind, name, target)| match kind {
                0 => layer.dir(&name),
                1 => layer.symlink(&name, &target),
                2 => layer.hardlink(&name, &target),
                _ => layer.file(&name, &target),
            })
            .finish()
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        drop(entries(&bytes[..], 0, bytes.len() as u64));
    }

    #[test]
    fn any_damage_to_an_archive_is_read_or_refused(
        at in 0_usize..3072, byte in any::<u8>(), sum in any::<bool>(), len in 0_usize..4096,
    ) {
        let mut archive = layer().pax(&[("path", b"x/y")]).file("a", "1").hardlink("b", "x/y").finish();
        let at = at % archive.len();
        archive[at] = byte;
        archive.truncate(len);
        if sum && at < 512 && archive.len() >= 512 {
            archive[148..156].fill(b' ');
            let sum: u32 = archive[..512].iter().map(|&byte| u32::from(byte)).sum();
            archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        if let Ok(entries) = entries(&archive[..], 0, archive.len() as u64) {
            let mut tree = Tree::new();
            let content = |_, _| Content::from(&b""[..]);
            drop(tree.apply_entries(entries, &content, &Arc::default()));
            check(&tree);
        }
    }

    #[test]
    fn any_layers_keep_a_tree_sound(archives in proptest::collection::vec(arbitrary_layer(), 1..4)) {
        let mut tree = Tree::new();
        let mut merged = Tree::new();
        for archive in archives {
            let found = entries(&archive[..], 0, archive.len() as u64).unwrap();
            let content = |offset: u64, len: u64| Content::from(&archive[offset as usize..(offset + len) as usize]);
            // An entry that cannot be applied ends its layer; what was applied before it must be sound.
            drop(tree.apply_entries(found, &content, &Arc::default()));
            check(&tree);
            drop(merged.merge(tree.clone()));
            check(&merged);
        }
    }
}
