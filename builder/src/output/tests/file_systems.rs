//! Trees, and what other programs find in the file systems that are made of them. Devices, owners and attributes can only be
//! made again by root.

use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use crate::image::{Digest, VerifiedFile};
use crate::output::inodes::root_of;
use crate::tree::{Content, Kind, Node, Tree, TreePath};

use super::*;

/// The value of `security.capability` that gives CAP_NET_RAW (Linux, `struct vfs_cap_data`, revision 2).
pub(in crate::output) const CAPABILITY: [u8; 20] =
    [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// What is at each path: kind, mode, owners, time, attributes, content. Of several names of a file, the first.
pub(in crate::output) type Listing = BTreeMap<String, String>;

/// Runs a program of `tools/deps`.
pub(in crate::output) fn run(program: &str, args: &[&str]) -> String {
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let out = Command::new(program).args(args).env("PATH", path).output();
    let out = out.unwrap_or_else(|error| panic!("running {program} (see tools/deps): {error}"));
    let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success(), "{program} {args:?}: {text}");
    text
}

pub(in crate::output) fn listing(tree: &Tree) -> Listing {
    let line = |node: &Node| {
        let what = match &node.kind {
            Kind::File(content) => format!("file of {} {}", content.len(), content.digest().unwrap()),
            // Whatever the mode of a link is, Linux does not let a program make it.
            Kind::Symlink(target) => {
                return format!("{}:{} -> {}", node.uid, node.gid, String::from_utf8_lossy(target));
            }
            Kind::Hardlink(file) => return format!("=> {}", String::from_utf8_lossy(file)),
            kind => format!("{kind:?}"),
        };
        let (mode, uid, gid, mtime) = (node.mode, node.uid, node.gid, node.mtime);
        let xattrs: Vec<_> =
            node.xattrs.iter().map(|(k, v)| (String::from_utf8_lossy(k), Digest::of(v).hex())).collect();
        format!("{what} {mode:o} {uid}:{gid} {mtime} {xattrs:?}")
    };
    let mut listing: Listing =
        tree.iter().map(|(path, node)| (String::from_utf8_lossy(path).into_owned(), line(node))).collect();
    listing.insert("/".into(), line(&root_of(tree)));
    listing
}

/// What is in a directory, as `tar` sees it.
pub(in crate::output) fn listing_of_directory(dir: &Path) -> Listing {
    let archive = tempfile::NamedTempFile::new().unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let args = [
        "--create",
        "--format=pax",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
        "--one-file-system",
    ];
    run("tar", &[&args[..], &["--file", &text(archive.path()), "--directory", &text(dir), "."]].concat());
    let digest = Digest::of(&fs::read(archive.path()).unwrap());
    let file = Arc::new(VerifiedFile::open(archive.path(), digest, None).unwrap());
    let mut tree = Tree::new();
    tree.apply(&file, 0, file.len(), &Arc::default()).unwrap();
    listing(&tree)
}

/// Says only what differs: listings are long.
pub(in crate::output) fn assert_same(found: &Listing, expected: &Listing) {
    for (path, node) in expected {
        assert_eq!(found.get(path), Some(node), "{path}");
    }
    assert_eq!(found.keys().find(|path| !expected.contains_key(*path)), None, "nothing else is there");
}

pub(in crate::output) fn node(kind: Kind, mode: u32, owners: (u32, u32), mtime: u64) -> Node {
    let node = Node::generated(kind, mode, &Arc::default());
    Node { uid: owners.0, gid: owners.1, mtime, ..node }
}

pub(in crate::output) fn file(bytes: Vec<u8>) -> Node {
    node(Kind::File(bytes.into()), 0o644, (0, 0), 1)
}

/// Bytes that cannot be compressed, and are the same each time.
pub(in crate::output) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// Something of every kind, at the edges of what blocks hold.
pub(in crate::output) fn sample() -> Tree {
    let mut tree = Tree::new();
    let mut put = |path: &str, node: Node| drop(tree.insert(path.as_bytes(), node).unwrap());
    let xattrs = |mut node: Node, list: &[(&str, &[u8])]| {
        node.xattrs = list.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect();
        node
    };
    put("", node(Kind::Directory, 0o750, (1, 2), 1_600_000_000));
    put("ping", xattrs(file(b"ping".to_vec()), &[("security.capability", &CAPABILITY)]));
    put("ping6", xattrs(file(b"ping".to_vec()), &[("security.capability", &CAPABILITY)]));
    let several: [(&str, &[u8]); 4] =
        [("user.empty", b""), ("user.a", b"1"), ("trusted.b", &[0xFF; 300]), ("security.x", b"y")];
    put("attributes", xattrs(node(Kind::Directory, 0o755, (0, 0), 2), &several));
    put("attributes/file", xattrs(file(noise(5000, 9)), &several));
    put("attributes/long", xattrs(file(Vec::new()), &[("user.long", &noise(3000, 8))]));
    put("tmp", node(Kind::Directory, 0o1777, (0, 0), 3));
    put("bin/su", node(Kind::File(b"su".as_slice().into()), 0o4755, (0, 0), 4));
    put(
        "bin/large-owner",
        node(Kind::File(b"x".as_slice().into()), 0o640, (4_000_000_000, 65_536), 4_000_000_000),
    );
    put("bin/sh", node(Kind::Symlink(b"su".to_vec()), 0o777, (3, 4), 5));
    put("long-link", node(Kind::Symlink(vec![b't'; 4000]), 0o777, (0, 0), 5));
    put("dev/null", node(Kind::CharDevice { major: 1, minor: 3 }, 0o666, (0, 0), 6));
    put("dev/large", node(Kind::BlockDevice { major: 4095, minor: 1_048_575 }, 0o660, (0, 6), 6));
    put("dev/pipe", xattrs(node(Kind::Fifo, 0o600, (0, 0), 7), &[("trusted.p", b"ipe")]));
    put("empty", file(Vec::new()));
    for (at, len) in
        [1, 100, 4095, 4096, 4097, 8192, 131_071, 131_072, 131_073, 400_000].into_iter().enumerate()
    {
        put(&format!("sizes/noise-{len}"), file(noise(len, at as u64)));
        put(
            &format!("sizes/text-{len}"),
            file(b"all work and no play ".iter().copied().cycle().take(len).collect()),
        );
        put(&format!("sizes/zeros-{len}"), file(vec![0; len]));
    }
    let mut holes = noise(500_000, 77);
    holes[..131_072].fill(0);
    holes[262_144..393_216].fill(0);
    put("holes", file(holes));
    put("zz/one", file(noise(200_000, 5)));
    for name in ["zz/two", "aa/three", "zz/deep/four"] {
        put(name, node(Kind::Hardlink(b"zz/one".to_vec()), 0, (0, 0), 0));
    }
    put("copy-of-one", node(Kind::File(noise(200_000, 5).into()), 0o600, (9, 9), 9));
    // Their names sort before `.` and `..`, and above 127.
    for name in ["!", "+x", "-", "...", "\u{e9}t\u{e9}", &"n".repeat(255)] {
        put(&format!("names/{name}"), file(name.as_bytes().to_vec()));
    }
    for number in 0..3000 {
        let path = format!("many/with-a-rather-long-name-so-that-the-listing-is-large-{number}");
        put(&path, file(if number % 3 == 0 { Vec::new() } else { number.to_string().into_bytes() }));
    }
    for number in 0..300 {
        put(&format!("subdirectories/{number}"), node(Kind::Directory, 0o711, (number, 0), 8));
    }
    put(&"deep/".repeat(40), node(Kind::Directory, 0o700, (0, 0), 1));
    tree
}

/// Bytes of the file that is called large: more than 32 bits can say.
pub(in crate::output) const LARGE: u64 = (4 << 30) + 300_000;

/// A tree with a file of so many bytes: zeros, and something in the end.
pub(in crate::output) fn with_large_file(dir: &Path) -> Tree {
    use std::os::unix::fs::FileExt;
    let path = dir.join("large");
    let file = fs::File::create(&path).unwrap();
    file.set_len(LARGE).unwrap();
    file.write_all_at(b"the end", LARGE - 7).unwrap();
    // To compute it would take as long again.
    let digest = "sha256:55b699e6a6635cc0b88753d7c32ba0e91fbcaadc89f86402f5aef996453eba53";
    let verified = Arc::new(VerifiedFile::open(&path, digest.parse().unwrap(), None).unwrap());
    let mut tree = Tree::new();
    let content = Content::Stretch { file: verified, offset: 0, len: LARGE };
    tree.insert(b"large", Node::file(content, 0o644, &Arc::default())).unwrap();
    tree
}

/// Trees of a few dozen nodes of every kind, with what programs can make again.
pub(in crate::output) fn trees() -> impl Strategy<Value = Tree> {
    let name = prop_oneof![9 => "[a-d]{1,2}", 1 => "[!-.0-~]{1,20}"]
        .prop_filter("a name", |name| !name.starts_with('.') && !name.contains('/'));
    let path = prop::collection::vec(name, 1..4).prop_map(|parts| parts.join("/").into_bytes());
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..50),
        (0_usize..300_000, any::<u64>()).prop_map(|(len, seed)| noise(len, seed)),
        (0_usize..300_000).prop_map(|len| vec![b'x'; len]),
        (0_usize..300_000).prop_map(|len| vec![0; len]),
    ];
    let kind = prop_oneof![
        3 => Just(Kind::Directory),
        6 => bytes.prop_map(|bytes| Kind::File(bytes.into())),
        1 => "[a-z./]{1,200}".prop_map(|target| Kind::Symlink(target.into_bytes())),
        2 => path.clone().prop_map(Kind::Hardlink),
        1 => (0_u32..4096, 0_u32..0x10_0000).prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
        1 => Just(Kind::Fifo),
    ];
    let xattrs = prop::collection::btree_map(
        "trusted\\.[a-z]{1,30}",
        prop::collection::vec(any::<u8>(), 0..500),
        0..3,
    );
    let owners = (prop_oneof![0_u32..5, any::<u32>().prop_map(|id| id.min(u32::MAX - 1))], 0_u32..5);
    let one = (path, kind, 0_u32..0o10000, owners, any::<u32>(), xattrs);
    prop::collection::vec(one, 0..40).prop_map(|nodes| {
        let mut tree = Tree::new();
        for (path, kind, mode, owners, mtime, xattrs) in nodes {
            let mut node = node(kind, mode, owners, mtime.into());
            if matches!(node.kind, Kind::File(_) | Kind::Directory) {
                node.xattrs = xattrs.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
            }
            // What cannot be there is left out.
            let _: Result<TreePath, _> = tree.insert(&path, node);
        }
        tree
    })
}
