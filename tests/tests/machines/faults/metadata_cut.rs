//! The power is cut at random moments while the metadata agent writes `/var/config` on a disk.
//!
//! One machine writes several trees, and its disk's writes are noted. Each cut then is a disk with the writes up to a
//! random one, of which those that were not flushed may be lost; its journal is replayed, and it is looked at.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use lk_tests::guest::{Engine, Guest, Setup};
use lk_tests::write_log::WriteLog;

use super::dice::Dice;
use super::scaled;

/// The file system's share of the disk, in MiB; behind it is the sector that tells how many trees there are.
const FILE_SYSTEM: u64 = 16;
const DISK: u64 = 18;
const NUMBER: u64 = (FILE_SYSTEM + 1) * 2048;
/// As in `tests/faults/metadata.yml`.
const TREES: usize = 4;

/// Files by path, as whoever follows the links sees them.
type Seen = BTreeMap<String, Vec<u8>>;

fn run(program: &str, arguments: &[&str], good: &[i32]) {
    let out = Command::new(program).args(arguments).output();
    let out = out.unwrap_or_else(|error| panic!("running {program} (package e2fsprogs): {error}"));
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code().is_some_and(|code| good.contains(&code)), "{program} {arguments:?}: {said}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// What the image itself has, partly under names that the trees have, too.
const IMAGE: [(&str, &str); 4] =
    [("app/base", "image"), ("app/port", "image"), ("motd", "image"), ("other", "image")];

/// A disk whose file system holds [`IMAGE`].
fn disk(dir: &Path) -> PathBuf {
    let (disk, content) = (dir.join("disk.raw"), dir.join("content"));
    fs::create_dir_all(content.join("app")).expect("directories");
    for (path, bytes) in IMAGE {
        fs::write(content.join(path), bytes).expect("a file of the image");
    }
    File::create(&disk).and_then(|file| file.set_len(DISK << 20)).expect("a disk");
    let size = format!("{FILE_SYSTEM}M");
    run("mke2fs", &["-q", "-t", "ext4", "-L", "config", "-d", text(&content), text(&disk), &size], &[0]);
    disk
}

/// User-data as `tests/faults/metadata.yml` makes it.
fn user_data(letter: char) -> (String, Seen) {
    let long = letter.to_string().repeat(3000);
    let short = letter.to_string();
    let file = |text: &str| format!(r#"{{"content": "{text}"}}"#);
    let mut json = format!(r#"{{"motd": {}, "app": {{"entries": {{"port": {}"#, file(&short), file(&short));
    let mut seen: Seen = IMAGE.map(|(path, bytes)| (path.to_owned(), bytes.into())).into();
    seen.extend(["motd", "app/port"].map(|path| (path.to_owned(), short.clone().into_bytes())));
    for number in 1..=9 {
        json += &format!(r#", "{number}": {}"#, file(&long));
        seen.insert(format!("app/{number}"), long.clone().into_bytes());
    }
    json += &format!(r#"}}}}, "only-{letter}": {}}}"#, file(&long));
    seen.insert(format!("only-{letter}"), long.into_bytes());
    (json, seen)
}

/// What a reader finds when so many trees were written.
fn wanted(trees: usize) -> Seen {
    let Some(last) = trees.checked_sub(1) else {
        return IMAGE.map(|(path, bytes)| (path.to_owned(), bytes.into())).into();
    };
    let letter = if last % 2 == 0 { 'a' } else { 'b' };
    let (json, mut seen) = user_data(letter);
    seen.insert("userdata".into(), json.into_bytes());
    seen.insert("provider".into(), format!("/run/user-data/{letter}").into_bytes());
    seen.insert("ssh/authorized_keys".into(), Vec::new());
    seen
}

/// The files of `/var/config` on a disk: its journal is replayed first, as at the next boot.
fn seen(disk: &Path, dir: &Path) -> Seen {
    // 1: what it found is mended, which after a cut is the count of free blocks.
    run("e2fsck", &["-f", "-y", text(disk)], &[0, 1]);
    let copy = tempfile::tempdir_in(dir).expect("a directory");
    let command = format!("rdump / {}", text(copy.path()));
    run("debugfs", &["-R", &command, text(disk)], &[0]);
    let mut seen = Seen::new();
    walk(copy.path(), copy.path(), &mut seen);
    // It has the time in it.
    let source = seen.remove(".source.json");
    let is_whole = |bytes: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
    assert_eq!(
        source.is_some_and(is_whole),
        seen.contains_key("provider"),
        ".source.json is not what it was"
    );
    seen
}

/// What leads nowhere can't be opened, and so is not there.
fn walk(root: &Path, at: &Path, seen: &mut Seen) {
    for entry in fs::read_dir(at).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = text(path.strip_prefix(root).expect("a path below")).to_owned();
        let is_ours = [".data", ".image", ".tree-", "lost+found"].iter().any(|own| name.starts_with(own));
        if path.is_dir() && !is_ours {
            walk(root, &path, seen);
        } else if path.is_file() && !is_ours {
            seen.insert(name, fs::read(&path).expect("a file"));
        }
    }
}

#[test]
fn a_cut_while_metadata_is_written_leaves_the_old_tree_or_the_new_one() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let disk = disk(dir.path());
    let (machine, log) = (dir.path().join("machine.raw"), dir.path().join("writes.log"));
    fs::copy(&disk, &machine).expect("the machine's disk");
    File::create(&log).expect("an empty log");
    let guest = Guest::boot(
        Engine::Embedded,
        "metadata",
        &Setup { disk: Some((machine, log.clone())), ..Setup::default() },
    );
    let guest = guest.watched();
    guest.wait(&format!("tree {TREES} is there"));
    guest.cut();

    let log = WriteLog::open(&log).expect("the log of the writes");
    let mut dice = Dice::new(11);
    let mut met = [0; TREES + 1];
    let cuts = scaled(20, 100);
    for cut in 0..=cuts {
        // The last one is after everything.
        let until = if cut == cuts { log.count() } else { dice.below(log.count()) };
        let after = dir.path().join("after.raw");
        fs::copy(&disk, &after).expect("the disk of before");
        let replayed = log.replay(&after, until, || dice.below(2) == 0).expect("replaying the writes");
        let number = log.written(NUMBER, until).expect("the number of trees").unwrap_or_default();
        let number = String::from_utf8(number).expect("a text");
        let trees: usize = if number.is_empty() { 0 } else { number.trim().parse().expect("a number") };
        let found = seen(&after, dir.path());
        // What the agent has said is there must be there, or a later one: the number may come late, and never early.
        let state = (trees..=TREES).find(|trees| found == wanted(*trees));
        let state = state.unwrap_or_else(|| {
            panic!(
                "cut {cut}, after {until} of {} ({replayed:?}): {trees} trees were written, and what is there is neither the \
                 last of them nor a later one: {:?}",
                log.count(),
                found.iter().map(|(path, bytes)| (path, bytes.len())).collect::<Vec<_>>()
            )
        });
        met[state] += 1;
    }
    println!("{cuts} cuts among {} writes and flushes; trees that were there: {met:?}", log.count());
    assert!(met.iter().filter(|count| **count > 0).count() > 2, "the cuts were all at one place: {met:?}");
}
