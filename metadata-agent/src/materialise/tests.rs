//! Trees into real directories.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::tree::{Name, Owner};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn tree<const N: usize>(list: [(&str, Node); N]) -> Entries {
    list.into_iter().map(|(n, node)| (name(n), node)).collect()
}

fn dir<const N: usize>(list: [(&str, Node); N]) -> Node {
    Node::directory(0o755, tree(list))
}

fn file(text: &str) -> Node {
    Node::file(0o644, text)
}

/// Paths with contents, sorted: what a reader sees, who follows the links that are ours and names the others.
fn seen(root: &Path) -> Vec<String> {
    fn walk(root: &Path, at: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap() {
            let entry = entry.unwrap();
            if at == root && is_internal(entry.file_name().to_str().unwrap()) {
                continue;
            }
            let path = entry.path();
            let shown = path.strip_prefix(root).unwrap().display().to_string();
            let link = fs::read_link(&path).ok().filter(|to| !to.starts_with(DATA));
            if let Some(link) = link {
                found.push(format!("{shown} -> {}", link.display()));
            } else if path.is_dir() {
                found.push(format!("{shown}/"));
                walk(root, &path, found);
            } else if path.exists() {
                found.push(format!("{shown} = {}", fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

fn target() -> (TempDir, PathBuf) {
    let outer = TempDir::new().unwrap();
    let target = outer.path().join("config");
    (outer, target)
}

fn put(target: &Path, tree: &Entries) -> Done {
    materialise(target, tree, Earlier::Replace).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_tree_is_written_with_its_permissions_whatever_the_umask() {
    let (_outer, target) = target();
    let wanted = tree([
        ("provider", file("openstack")),
        ("secret", Node::file(0o600, "s")),
        ("open", Node::file(0o777, "o")),
        ("none", Node::file(0, "n")),
        ("ssh", Node::directory(0o700, tree([("authorized_keys", Node::file(0o600, "key\n"))]))),
        ("shared", Node::directory(0o777, tree([("sub", dir([("deep", file("d"))]))]))),
    ]);
    let done = put(&target, &wanted);
    assert_eq!((done.written, done.conflicts, done.notes), (6, vec![], vec![]));
    for (path, wanted) in [
        ("", 0o755),
        ("provider", 0o644),
        ("secret", 0o600),
        ("open", 0o777),
        ("none", 0),
        ("ssh", 0o700),
        ("ssh/authorized_keys", 0o600),
        ("shared", 0o777),
        ("shared/sub", 0o755),
        (DATA, 0o755),
    ] {
        assert_eq!(mode(&target.join(path)), wanted, "{path}");
    }
    assert_eq!(fs::read_to_string(target.join("shared/sub/deep")).unwrap(), "d");
}

#[test]
fn a_file_is_given_to_its_owner_where_that_is_allowed() {
    let (_outer, target) = target();
    let owner = Owner { user: 1234, group: 56 };
    let result = materialise(&target, &tree([("f", file("x").owned_by(owner))]), Earlier::Replace);
    if nix::unistd::geteuid().is_root() {
        result.unwrap();
        let there = fs::metadata(target.join("f")).unwrap();
        assert_eq!((there.uid(), there.gid(), mode(&target.join("f"))), (1234, 56, 0o644));
    } else {
        assert!(result.unwrap_err().to_string().contains("cannot write \"f\": Operation not permitted"));
        assert_eq!(seen(&target), [""; 0]);
    }
}

#[test]
fn a_second_run_replaces_the_first_and_leaves_nothing_of_it() {
    let (_outer, target) = target();
    put(
        &target,
        &tree([("a", file("1")), ("d", dir([("x", file("1")), ("y", file("1"))])), ("old", file("1"))]),
    );
    let before = fs::metadata(&target).unwrap().ino();
    let done = put(&target, &tree([("a", dir([("now", file("2"))])), ("d", dir([("x", file("2"))]))]));
    assert_eq!(seen(&target), ["a/", "a/now = 2", "d/", "d/x = 2"]);
    assert_eq!((done.written, done.removed), (2, 1));
    assert_eq!(fs::metadata(&target).unwrap().ino(), before, "the directory that others bind has changed");
    put(&target, &Entries::new());
    assert_eq!(seen(&target), [""; 0]);
}

#[test]
fn what_the_image_put_there_stays_unless_it_is_named() {
    let (_outer, target) = target();
    fs::create_dir_all(target.join("app")).unwrap();
    fs::write(target.join("app/base.conf"), "image").unwrap();
    fs::write(target.join("app/port"), "80").unwrap();
    fs::write(target.join("motd"), "image").unwrap();
    let user = tree([("app", dir([("port", file("8080")), ("extra", file("e"))]))]);
    put(&target, &user);
    let with_user = ["app/", "app/base.conf = image", "app/extra = e", "app/port = 8080", "motd = image"];
    assert_eq!(seen(&target), with_user);
    put(&target, &user);
    assert_eq!(seen(&target), with_user);
    put(&target, &Entries::new());
    assert_eq!(seen(&target), ["app/", "app/base.conf = image", "app/port = 80", "motd = image"]);
    put(&target, &tree([("motd", file("user"))]));
    assert_eq!(seen(&target), ["app/", "app/base.conf = image", "app/port = 80", "motd = user"]);
    fs::remove_file(target.join("motd")).unwrap();
    fs::write(target.join("motd"), "admin").unwrap();
    put(&target, &tree([("motd", file("user"))]));
    put(&target, &Entries::new());
    assert_eq!(seen(&target)[3], "motd = admin", "what was put there last is not what is shown");
}

#[test]
fn a_file_for_a_directory_of_the_image_is_a_conflict_and_the_rest_applies() {
    let (_outer, target) = target();
    fs::create_dir_all(target.join("app/sub")).unwrap();
    fs::write(target.join("motd"), "image").unwrap();
    let done = put(
        &target,
        &tree([("app", dir([("sub", file("x")), ("y", file("y"))])), ("motd", dir([("z", file("z"))]))]),
    );
    assert_eq!(done.conflicts, ["app/sub", "motd"]);
    assert_eq!(seen(&target), ["app/", "app/sub/", "app/y = y", "motd = image"]);
}

#[test]
fn a_planted_link_is_replaced_or_refused_and_never_followed() {
    let (outer, target) = target();
    let victim = outer.path().join("victim");
    fs::create_dir_all(&target).unwrap();
    fs::create_dir_all(&victim).unwrap();
    fs::write(victim.join("passwd"), "root").unwrap();
    symlink(victim.join("passwd"), target.join("hostname")).unwrap();
    symlink(&victim, target.join("app")).unwrap();
    symlink(&victim, target.join("ssh")).unwrap();
    let wanted = tree([
        ("hostname", file("web")),
        ("app", dir([("passwd", file("evil"))])),
        ("ssh", dir([("passwd", Node::placeholder(0o600))])),
    ]);
    let done = put(&target, &wanted);
    assert_eq!(done.conflicts, ["app", "ssh"]);
    assert_eq!(fs::read_to_string(target.join("hostname")).unwrap(), "web");
    assert_eq!(fs::read_link(target.join("hostname")).unwrap(), Path::new(".data/hostname"));
    assert_eq!(seen(&victim), ["passwd = root"]);
}

#[test]
fn a_link_planted_where_a_directory_of_ours_was_is_a_conflict_and_not_followed() {
    let (outer, target) = target();
    let victim = outer.path().join("victim");
    fs::create_dir_all(&victim).unwrap();
    fs::write(victim.join("x"), "theirs").unwrap();
    let wanted = tree([("d", dir([("x", file("1"))]))]);
    put(&target, &wanted);
    fs::remove_file(target.join("d")).unwrap();
    symlink(&victim, target.join("d")).unwrap();
    assert_eq!(put(&target, &wanted).conflicts, ["d"]);
    assert_eq!(seen(&victim), ["x = theirs"]);
}

#[test]
fn a_data_link_that_lies_reaches_nothing_outside() {
    let (outer, target) = target();
    let victim = outer.path().join("victim");
    for lie in ["../victim", "/etc", ".tree-007", ".tree-99", ".", "d"] {
        fs::create_dir_all(victim.join("d")).unwrap();
        fs::create_dir_all(target.join("d")).unwrap();
        fs::write(victim.join("d/x"), "theirs").unwrap();
        symlink(lie, target.join(DATA)).unwrap();
        put(&target, &tree([("a", file("1"))]));
        assert_eq!(seen(&target), ["a = 1", "d/"], "{lie}");
        assert_eq!(seen(&victim), ["d/", "d/x = theirs"], "{lie}");
        fs::remove_dir_all(&target).unwrap();
    }
}

#[test]
fn what_a_run_that_died_left_is_swept_away() {
    let (outer, target) = target();
    fs::create_dir_all(target.join(".tree-77/d/e")).unwrap();
    fs::write(target.join(".tree-77/d/secret"), "s").unwrap();
    fs::write(outer.path().join("victim"), "v").unwrap();
    symlink(outer.path(), target.join(".tree-77/link")).unwrap();
    symlink(".tree-77", target.join(NEW_DATA)).unwrap();
    put(&target, &tree([("a", file("1"))]));
    assert_eq!(seen(&target), ["a = 1"]);
    let mut internal: Vec<_> = fs::read_dir(&target).unwrap().map(|e| e.unwrap().file_name()).collect();
    internal.sort();
    assert_eq!(internal, [".data", ".tree-78", "a"]);
    assert!(outer.path().join("victim").exists());
}

#[test]
fn a_reader_in_the_middle_of_a_tree_reads_it_to_its_end() {
    let (_outer, target) = target();
    let both = |text: &str| tree([("user", file(text)), ("password", file(text))]);
    put(&target, &both("old"));
    let reader = fs::canonicalize(target.join(DATA)).unwrap();
    assert_eq!(fs::read_to_string(reader.join("user")).unwrap(), "old");
    put(&target, &both("new"));
    assert_eq!(fs::read_to_string(reader.join("password")).unwrap(), "old");
    assert_eq!(seen(&target), ["password = new", "user = new"]);
    put(&target, &both("newest"));
    assert!(!reader.exists(), "trees pile up");
}

#[test]
fn a_name_is_shown_as_it_was_until_the_whole_tree_is() {
    let (_outer, target) = target();
    fs::create_dir_all(target.join("app")).unwrap();
    fs::write(target.join("app/port"), "80").unwrap();
    let live = Directory::make_and_open(&target).unwrap();
    let mut run = Run { target: &target, live, done: Done::default() };
    let survey = Survey::of(&run.live).unwrap();
    let wanted = tree([("app", dir([("port", file("8080"))])), ("new", file("n"))]);
    let items = compose(&BTreeMap::new(), &wanted).items;
    run.lead_to_tree(&survey, &items).unwrap();
    assert_eq!(seen(&target), ["app/", "app/port = 80"]);
    assert_eq!(fs::read_link(target.join("app")).unwrap(), Path::new(".data/app"));
    drop(run);
    put(&target, &wanted);
    assert_eq!(seen(&target), ["app/", "app/port = 8080", "new = n"]);
}

#[test]
fn a_leftover_that_cannot_be_removed_is_noted_and_does_not_stand_in_the_way() {
    use std::os::unix::ffi::OsStrExt;
    let (_outer, target) = target();
    let leftover = target.join(tree_name(5));
    fs::create_dir_all(&leftover).unwrap();
    fs::write(leftover.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    let done = put(&target, &tree([("a", file("1"))]));
    assert_eq!(done.notes.len(), 1, "{:?}", done.notes);
    assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "1");
}

#[test]
fn a_placeholder_gives_way_to_others_and_empties_ours() {
    let (_outer, target) = target();
    let placeholder = tree([("ssh", Node::directory(0o700, tree([("keys", Node::placeholder(0o600))])))]);
    let keys = tree([("ssh", Node::directory(0o700, tree([("keys", Node::file(0o600, "cloud"))])))]);

    put(&target, &placeholder);
    assert_eq!(seen(&target), ["ssh/", "ssh/keys = "]);
    assert_eq!((mode(&target.join("ssh")), mode(&target.join("ssh/keys"))), (0o700, 0o600));
    put(&target, &keys);
    assert_eq!(seen(&target), ["ssh/", "ssh/keys = cloud"]);
    put(&target, &placeholder);
    assert_eq!(seen(&target), ["ssh/", "ssh/keys = "], "withdrawn keys still let people in");

    put(&target, &Entries::new());
    fs::create_dir_all(target.join("ssh")).unwrap();
    fs::write(target.join("ssh/keys"), "image").unwrap();
    put(&target, &placeholder);
    assert_eq!(seen(&target), ["ssh/", "ssh/keys = image"]);
}

#[test]
fn without_news_what_an_earlier_run_found_is_kept() {
    let (_outer, target) = target();
    put(&target, &tree([("provider", file("openstack")), ("ssh", dir([("keys", file("cloud"))]))]));
    let placeholder = tree([("ssh", dir([("keys", Node::placeholder(0o600))]))]);
    materialise(&target, &placeholder, Earlier::Keep).unwrap();
    assert_eq!(seen(&target), ["provider = openstack", "ssh/", "ssh/keys = cloud"]);
    put(&target, &Entries::new());
    assert_eq!(seen(&target), [""; 0], "the kept files were forgotten");
}

#[test]
fn only_one_run_at_a_time_writes() {
    let (_outer, target) = target();
    let held = Directory::make_and_open(&target).unwrap();
    let lock = held.lock().unwrap();
    assert!(lock.is_some());
    let error = materialise(&target, &Entries::new(), Earlier::Replace).unwrap_err();
    assert!(matches!(error, MaterialiseError::Busy(_)), "{error}");
}

#[test]
fn a_target_that_is_a_link_or_a_file_is_refused() {
    let (outer, target) = target();
    let elsewhere = outer.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &target).unwrap();
    let error = materialise(&target, &tree([("a", file("1"))]), Earlier::Replace).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(seen(&elsewhere), [""; 0]);
    fs::remove_file(&target).unwrap();
    fs::write(&target, "").unwrap();
    let error = materialise(&target, &Entries::new(), Earlier::Replace).unwrap_err();
    assert!(error.to_string().contains("something else than a directory"), "{error}");
}

#[test]
fn where_entries_cannot_be_exchanged_they_move_one_after_the_other() {
    let (_outer, target) = target();
    fs::create_dir_all(target.join("d")).unwrap();
    fs::write(target.join("f"), "f").unwrap();
    let live = Directory::make_and_open(&target).unwrap();
    live.exchange_in_steps("f", "d").unwrap();
    assert_eq!(seen(&target), ["d = f", "f/"]);
}

#[test]
fn the_same_directory_is_known_by_any_name() {
    let (outer, target) = target();
    fs::create_dir(&target).unwrap();
    symlink(&target, outer.path().join("link")).unwrap();
    assert!(same_directory(&target, &outer.path().join("link")));
    assert!(!same_directory(&target, outer.path()));
    assert!(!same_directory(&outer.path().join("no"), &outer.path().join("no")));
}
