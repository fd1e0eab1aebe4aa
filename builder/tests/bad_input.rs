//! What the command does with what can't be built: it says so, names it, fails, and leaves no output file.

mod fixture;

use std::process::Command;

use fixture::{Fixture, failure, success};

const GOOD: &str = "kernel:\n  image: example/kernel:1\n  cmdline: console=ttyS0\ninit:\n  - example/init:1\n\
                    services:\n  - name: tool\n    image: example/tool:1\n    command: [/usr/bin/tool]\n";

fn refused(fixture: &Fixture, yaml: &str, parts: &[&str]) {
    let said = failure(&fixture.build(yaml, "kernel+initrd"));
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
    assert_eq!(fixture.outputs(), [""; 0], "a failed build left files");
}

#[test]
fn a_good_yaml_is_built() {
    let fixture = Fixture::new();
    success(&fixture.build(GOOD, "kernel+initrd"));
    assert_eq!(fixture.outputs(), ["machine-cmdline", "machine-initrd.img", "machine-kernel"]);
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_key() {
    let fixture = Fixture::new();
    refused(&fixture, &GOOD.replace("services:", "servces:"), &["machine.yml:6:1", "servces", "services"]);
    refused(&fixture, &GOOD.replace("command:", "comand:"), &["machine.yml:9:5", "comand", "command"]);
}

#[test]
fn a_wrong_type_is_named_with_its_place() {
    let fixture = Fixture::new();
    let yaml = GOOD.replace("cmdline: console=ttyS0", "cmdline: [console=ttyS0]");
    refused(&fixture, &yaml, &["machine.yml:3:12", "cmdline", "string"]);
}

#[test]
fn several_mistakes_are_named_at_once() {
    let fixture = Fixture::new();
    let yaml = GOOD.replace("services:", "servces:").replace("cmdline: console=ttyS0", "cmdline: 5");
    refused(&fixture, &yaml, &["machine.yml:3:", "machine.yml:6:1"]);
}

#[test]
fn an_image_that_the_cache_does_not_have_is_named_with_its_place_and_a_remedy() {
    let fixture = Fixture::new();
    let yaml = GOOD.replace("example/tool:1", "example/tol:1");
    refused(&fixture, &yaml, &["example/tol:1", "machine.yml:8:", "lkb pkg build"]);
}

#[test]
fn packages_that_need_each_other_in_a_circle_are_named() {
    let fixture = Fixture::new();
    fixture.write("a/build.yml", "image: a\nbuildArgs: [\"B=@pkg:../b\"]\n");
    fixture.write("b/build.yml", "image: b\nbuildArgs: [\"A=@pkg:../a\"]\n");
    let yaml = GOOD.replace("image: example/tool:1", "image: \"@pkg:a\"");
    refused(&fixture, &yaml, &["machine.yml:8:", "circle", "/a", "/b"]);
}

#[test]
fn a_corrupt_blob_is_named_with_its_image() {
    let fixture = Fixture::new();
    let mut spoiled = None;
    for entry in std::fs::read_dir(fixture.path("cache/blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let mut content = std::fs::read(&path).unwrap();
        // The tool's layer: a tar archive that holds the tool.
        if content.starts_with(b"usr/bin/tool") {
            content[512] ^= 1;
            std::fs::write(&path, content).unwrap();
            spoiled = path.file_name().map(|n| n.to_string_lossy().into_owned());
        }
    }
    let digest = spoiled.expect("the tool's layer");
    refused(&fixture, GOOD, &["example/tool:1", &digest, "lkb cache rm"]);
    let said = failure(&fixture.build(GOOD, "tar"));
    assert!(said.contains(&digest), "{said}");
    assert_eq!(fixture.outputs(), [""; 0]);
}

#[test]
fn a_full_disk_leaves_no_file_and_keeps_the_one_that_was_there() {
    let fixture = Fixture::new();
    fixture.write("machine.yml", GOOD);
    // A file system of 1 MiB, in a mount namespace that ends with the shell; the kernel alone has 3 MiB.
    let script = "mount -t tmpfs -o size=1m none out && echo old >out/machine-kernel && \
                  ! \"$LKB\" --cache cache build --format kernel+initrd --dir out machine.yml && \
                  test \"$(ls -A out)\" = machine-kernel && test \"$(cat out/machine-kernel)\" = old";
    let out = Command::new("unshare")
        .args(["--mount", "sh", "-ec", script])
        .env("LKB", env!("CARGO_BIN_EXE_lkb"))
        .current_dir(fixture.dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stdout));
    assert!(said.contains("No space left") && said.contains("out"), "{said}");
}

#[test]
fn long_options_work_with_one_dash() {
    let fixture = Fixture::new();
    fixture.write("machine.yml", GOOD);
    success(&fixture.lkb(&[
        "build",
        "-format",
        "kernel+initrd",
        "-name",
        "one",
        "-dir",
        "out",
        "machine.yml",
    ]));
    assert!(fixture.outputs().contains(&"one-kernel".to_string()));
}

#[test]
fn two_builds_of_the_same_inputs_are_the_same_bytes() {
    let fixture = Fixture::new();
    for format in ["kernel+initrd", "tar"] {
        success(&fixture.build(GOOD, format));
        let first: Vec<_> =
            fixture.outputs().iter().map(|n| std::fs::read(fixture.out().join(n)).unwrap()).collect();
        success(&fixture.build(GOOD, format));
        let second: Vec<_> =
            fixture.outputs().iter().map(|n| std::fs::read(fixture.out().join(n)).unwrap()).collect();
        assert!(first == second, "{format} differs");
    }
}
