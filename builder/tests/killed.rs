//! `lkb` killed at any moment: no half file has its name, and the next run does as if nothing had been.
//!
//! 40 moments of builds and imports, and 20 of each other command; `LK_FAULTS=full` makes them 400 and 200.

mod fixture;
mod registries;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fixture::{Fixture, failure, layout, success, tar};
use registries::images::{Image, digest};
use registries::real::Registry;
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

/// Every image that has a name is all there: it can be taken out again.
fn assert_images_are_whole(fixture: &Fixture) {
    for line in success(&fixture.lkb(&["cache", "ls"])).lines() {
        let (name, _) = line.split_once(' ').unwrap();
        let export = ["cache", "export", name, "--platform=linux/amd64", "--outfile=whole.tar"];
        success(&fixture.lkb(&export));
    }
}

#[test]
fn a_removal_that_is_killed_leaves_every_named_image_whole() {
    let fixture = Fixture::new();
    // Shares a layer with one that stays.
    let layer = tar(&[("usr/bin/tool", b"tool")]);
    layout(&fixture.path("same"), "example/same:1", &layer);
    success(&fixture.lkb(&["cache", "import", "same"]));
    let mut dice = Dice(0xA076_1D64_78BD_642F);
    let begun = Instant::now();
    success(&fixture.lkb(&["cache", "gc"]));
    let long = u64::try_from(begun.elapsed().as_micros()).unwrap();
    for moment in 0..moments() / 2 {
        // An image with layers of its own loses its name, and is garbage.
        for text in ["first", "second"] {
            layout(
                &fixture.path("other"),
                "example/other:1",
                &tar(&[("a", format!("{text} {moment}").as_bytes())]),
            );
            success(&fixture.lkb(&["cache", "import", "other"]));
        }
        let args: &[&str] = match dice.below(3) {
            0 => &["cache", "gc"],
            1 => &["cache", "rm", "example/same:1"],
            _ => &["cache", "rm", "example/other:1"],
        };
        kill_after(&fixture, args, Duration::from_micros(dice.below(long + long / 8)));
        assert_sound(&fixture.path("cache"));
        assert_images_are_whole(&fixture);
        success(&fixture.lkb(&["cache", "import", "same"]));
    }
    success(&fixture.lkb(&["cache", "rm", "example/other:1"]));
    success(&fixture.lkb(&["cache", "rm", "example/same:1"]));
    success(&fixture.lkb(&["cache", "gc"]));
    assert_eq!(files(&fixture.path("cache/blobs/sha256")).len(), 9, "three blobs for each of three images");
}

#[test]
fn an_export_that_is_killed_leaves_no_half_archive() {
    let fixture = Fixture::new();
    let export = ["cache", "export", "example/kernel:1", "--platform=linux/amd64", "--outfile=out/k.tar"];
    let begun = Instant::now();
    success(&fixture.lkb(&export));
    let long = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let whole = files(&fixture.out());
    let mut dice = Dice(0xE703_7ED1_A0B4_28DB);
    for moment in 0..moments() / 2 {
        fs::remove_dir_all(fixture.out()).unwrap();
        fs::create_dir(fixture.out()).unwrap();
        kill_after(&fixture, &export, Duration::from_micros(dice.below(long + long / 8)));
        if let Some(content) = files(&fixture.out()).get("k.tar") {
            assert!(content == &whole["k.tar"], "the archive is not whole after kill {moment}");
        }
    }
    success(&fixture.lkb(&export));
    assert!(files(&fixture.out()) == whole, "the archive, and nothing else, is there");
}

#[test]
fn a_pull_that_is_killed_leaves_a_sound_cache_and_the_next_one_succeeds() {
    let fixture = Fixture::new();
    let registry = Registry::plain();
    let long_text: Vec<u8> =
        (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    registry.push("x", "1", &Image::new("amd64", &[&long_text, b"two", b"three"]));
    let name = format!("{}/x:1", registry.host());
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lkb"));
        let command = command.current_dir(fixture.dir.path()).env_remove("LINUXKIT_MIRROR");
        command.args(["--cache", "cache"]).args(args).output().unwrap()
    };
    let pull = ["cache", "pull", "--platform=linux/amd64", &name];
    let begun = Instant::now();
    success(&run(&pull));
    let long = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let mut dice = Dice(0x8EBC_6AF0_9C88_C6E3);
    for _ in 0..moments() / 2 {
        success(&run(&["cache", "rm", &name]));
        kill_after(&fixture, &pull, Duration::from_micros(dice.below(long + long / 8)));
        assert_sound(&fixture.path("cache"));
        assert_images_are_whole(&fixture);
        success(&run(&pull));
        assert_images_are_whole(&fixture);
    }
    assert!(
        fs::read_dir(fixture.path("cache/tmp")).unwrap().next().is_none(),
        "nothing lies about half done"
    );
}

#[test]
fn a_push_that_is_killed_leaves_no_tag_without_its_blobs_and_the_next_one_succeeds() {
    let fixture = Fixture::new();
    let (from, registry) = (Registry::plain(), Registry::plain());
    let long_text: Vec<u8> =
        (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut dice = Dice(0x5897_89E6_EB44_AA11);
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lkb"));
        let command = command.current_dir(fixture.dir.path()).env_remove("LINUXKIT_MIRROR");
        command.args(args).output().unwrap()
    };
    let mut long = 0;
    for moment in 0..=moments() / 2 {
        // A registry takes no blob twice, so there is something new each time.
        let own = format!("layer {moment}").into_bytes();
        let image = Image::new("amd64", &[&[&long_text[..], &own].concat(), &own]);
        from.push("x", "1", &image);
        let name = format!("{}/x:1", from.host());
        success(&run(&["--cache", "cache", "cache", "pull", "--platform=linux/amd64", &name]));
        let remote = format!("{}/y:{moment}", registry.host());
        let push = ["cache", "push", "--remote-name", &remote, &name];
        let begun = Instant::now();
        if moment == 0 {
            success(&run(&[&["--cache", "cache"], &push[..]].concat()));
            long = u64::try_from(begun.elapsed().as_micros()).unwrap();
            continue;
        }
        kill_after(&fixture, &push, Duration::from_micros(dice.below(long + long / 8)));
        assert_sound(&fixture.path("cache"));
        // What has a tag can be had.
        let pull = ["--cache", "other", "cache", "pull", "--platform=linux/amd64", &remote];
        let pulled = run(&pull);
        if !pulled.status.success() {
            let said = failure(&pulled);
            assert!(said.contains("has no such image"), "after kill {moment}: {said}");
        }
        success(&run(&[&["--cache", "cache"], &push[..]].concat()));
        let said = success(&run(&pull));
        assert!(said.contains(&digest(&image.manifest)), "{said}");
        fs::remove_dir_all(fixture.path("other")).unwrap();
    }
}
