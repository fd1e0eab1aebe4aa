//! A run that is killed at any moment leaves the tree of before or the new one, and nothing in between.
//!
//! `METADATA_KILLS=100` makes it long.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use metadata_agent::materialise::{Earlier, is_internal, materialise};
use metadata_agent::tree::{Entries, Name, Node};
use tempfile::TempDir;

const TARGET: &str = "METADATA_KILL_TARGET";
const KILLS: &str = "METADATA_KILLS";
const SHORT: u64 = 15;
/// What the writer says before each run.
const BEGUN: &str = "begun";

/// Two trees with nothing in common but names; each file says which it is of.
fn tree(generation: &str) -> Entries {
    let file = |size: usize| Node::file(0o600, generation.repeat(size));
    let name = |text: &str| Name::new(text).unwrap();
    let many = (0..20).map(|n| (name(&format!("f{n}")), file(1000))).collect();
    let app = Entries::from([(name("port"), file(1)), (name(&format!("only-{generation}")), file(1))]);
    Entries::from([
        (name("provider"), file(1)),
        (name("many"), Node::directory(0o755, many)),
        (name("app"), Node::directory(0o755, app)),
        (name("motd"), file(2)),
        (name(&format!("only-{generation}")), file(3)),
    ])
}

/// Files by path, as whoever follows the links sees them; what leads nowhere can't be opened and is not there.
fn seen(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, at: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let shown = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if is_internal(&shown) {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.exists() {
                found.insert(shown, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

/// Puts something of the image's own there, partly under names that the trees have.
fn image(target: &Path) {
    fs::create_dir_all(target.join("app")).unwrap();
    for (path, content) in
        [("app/base", "image"), ("app/port", "image"), ("motd", "image"), ("other", "image")]
    {
        fs::write(target.join(path), content).unwrap();
    }
}

/// The writer that is killed: this very program, started again.
#[test]
#[ignore = "runs for ever; the next test starts and kills it"]
fn writer() {
    let target = std::env::var(TARGET).unwrap();
    for generation in ["a", "b"].iter().cycle() {
        println!("\n{BEGUN}");
        materialise(Path::new(&target), &tree(generation), Earlier::Replace).unwrap();
    }
}

#[test]
fn a_run_that_is_killed_leaves_the_old_tree_or_the_new_one() {
    let scratch = TempDir::new().unwrap();
    let view = |name: &str, generation: Option<&str>| {
        let target = scratch.path().join(name);
        image(&target);
        if let Some(generation) = generation {
            materialise(&target, &tree(generation), Earlier::Replace).unwrap();
        }
        seen(&target)
    };
    let wanted = [view("none", None), view("a", Some("a")), view("b", Some("b"))];
    let began = Instant::now();
    materialise(&scratch.path().join("b"), &tree("b"), Earlier::Replace).unwrap();
    let one_run = began.elapsed();
    let target = scratch.path().join("target");
    let kills = std::env::var(KILLS).map_or(SHORT, |kills| kills.parse().unwrap());
    let mut met = [0; 3];
    for kill in 0..kills {
        if kill % 5 == 0 {
            // The first runs on an image are where most happens.
            drop(fs::remove_dir_all(&target));
            image(&target);
        }
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--ignored", "--nocapture"])
            .env(TARGET, &target)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // In its first, second or third run, and anywhere in that.
        let mut said = BufReader::new(writer.stdout.take().unwrap()).lines();
        let runs = (0..=kill % 3).filter(|_| said.any(|line| line.unwrap() == BEGUN)).count();
        assert_eq!(runs as u64, kill % 3 + 1);
        std::thread::sleep(one_run * u32::try_from(kill * 7_919 % 1_500).unwrap() / 1_000);
        writer.kill().unwrap();
        writer.wait().unwrap();
        let found = seen(&target);
        let state = wanted.iter().position(|view| *view == found);
        let Some(state) = state else {
            panic!("after kill {kill} neither tree is whole: {:?}", found.keys());
        };
        met[state] += 1;
    }
    materialise(&target, &tree("a"), Earlier::Replace).unwrap();
    assert_eq!(seen(&target), wanted[1], "the next run does not mend it");
    materialise(&target, &Entries::new(), Earlier::Replace).unwrap();
    assert_eq!(seen(&target), wanted[0], "the image's own did not come back");
    assert!(met[1] + met[2] > 0, "no run got anywhere before it was killed: {met:?}");
    println!("without a tree, with a, with b: {met:?}; one run takes {one_run:?}");
}
