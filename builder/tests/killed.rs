//! `lkb` killed at any moment: no half file has its name, and the next run does as if nothing had been.
//!
//! 40 moments; `LK_FAULTS=full` makes it 400.

mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fixture::{Fixture, failure, success};
use sha2::{Digest, Sha256};

const YAML: &str = "\
kernel:
  image: example/kernel:1
  cmdline: quiet
init:
  - example/init:1
services:
  - name: tool
    image: example/tool:1
    command: [/usr/bin/tool]
";
const FORMATS: &str = "kernel+initrd,tar,docker";

/// Numbers that come again (xorshift64, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        for (left, by) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left { self.0 << by } else { self.0 >> by };
        }
        self.0 % limit
    }
}

fn moments() -> u64 {
    if std::env::var_os("LK_FAULTS").is_some_and(|value| value == "full") { 400 } else { 40 }
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

/// Starts `lkb`, and kills it after `delay` unless it has ended by then.
fn kill_after(fixture: &Fixture, args: &[&str], delay: Duration) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lkb"))
        .current_dir(fixture.dir.path())
        .args(["--cache", "cache"])
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Every blob is what its name says, and the index can be read.
fn assert_sound(cache: &Path) {
    for (name, content) in files(&cache.join("blobs/sha256")) {
        let digest: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, name, "a blob that is not what its name says");
    }
    let index = fs::read(cache.join("index.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&index).unwrap();
}

#[test]
fn a_build_that_is_killed_leaves_no_half_file_and_the_next_one_succeeds() {
    let fixture = Fixture::new();
    let begun = Instant::now();
    success(&fixture.build(YAML, FORMATS));
    let long = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let whole = files(&fixture.out());
    assert_eq!(fixture.outputs().len(), 5, "{:?}", fixture.outputs());

    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for moment in 0..moments() {
        fs::remove_dir_all(fixture.out()).unwrap();
        fs::create_dir(fixture.out()).unwrap();
        let remembered = fixture.path("cache/initrd");
        if dice.below(2) == 0 && remembered.exists() {
            // With nothing remembered there is more to be killed in.
            fs::remove_dir_all(remembered).unwrap();
        }
        let args = ["build", "--format", FORMATS, "--dir", "out", "machine.yml"];
        kill_after(&fixture, &args, Duration::from_micros(dice.below(long + long / 8)));
        for (name, content) in files(&fixture.out()) {
            if let Some(expected) = whole.get(&name) {
                assert!(content == *expected, "{name} is not whole after kill {moment}");
            }
        }
        assert_sound(&fixture.path("cache"));
        if moment % 8 == 7 {
            success(&fixture.build(YAML, FORMATS));
            assert!(files(&fixture.out()) == whole, "the build after kill {moment} made something else");
        }
    }
    success(&fixture.build(YAML, FORMATS));
    assert!(files(&fixture.out()) == whole, "what the last build made, and nothing else, is there");
}

#[test]
fn an_import_that_is_killed_leaves_a_sound_cache_and_the_next_one_succeeds() {
    let fixture = Fixture::new();
    // The layout of the fixture's last image is still there.
    let import = ["cache", "import", "layout"];
    let begun = Instant::now();
    success(&fixture.lkb(&import));
    let long = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let listed = success(&fixture.lkb(&["cache", "ls"]));
    success(&fixture.lkb(&["cache", "rm", "example/tool:1"]));
    assert!(failure(&fixture.build(YAML, "tar")).contains("example/tool:1"));
    success(&fixture.lkb(&import));

    let mut dice = Dice(0xD1B5_4A32_D192_ED03);
    for _ in 0..moments() {
        success(&fixture.lkb(&["cache", "rm", "example/tool:1"]));
        kill_after(&fixture, &import, Duration::from_micros(dice.below(long + long / 8)));
        assert_sound(&fixture.path("cache"));
        success(&fixture.lkb(&import));
        assert_eq!(success(&fixture.lkb(&["cache", "ls"])), listed);
    }
    success(&fixture.build(YAML, FORMATS));
}
