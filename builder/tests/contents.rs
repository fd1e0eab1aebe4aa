//! What is in images: `lkb inspect` says where it comes from, `lkb diff` how it differs.

mod fixture;

use std::process::Output;

use fixture::{Fixture, failure, success};
use serde_json::Value;

const YAML: &str = "kernel:\n  image: example/kernel:1\ninit:\n  - example/init:1\nonboot:\n  - name: first\n    \
                    image: example/tool:1\n    command: [/usr/bin/tool]\nservices:\n  - name: second\n    \
                    image: example/tool:1\n    command: [/usr/bin/tool]\nfiles:\n  - {path: etc/a, contents: abc}\n  \
                    - {path: etc/b, symlink: a}\n";

const A: &str = "kernel:\n  image: example/kernel:1\n  cmdline: quiet\ninit:\n  - example/init:1\nfiles:\n  \
                 - {path: etc/a, contents: abc}\n  - {path: etc/b, symlink: a}\n  - {path: etc/gone, contents: ''}\n";

fn b() -> String {
    A.replace("quiet", "debug")
        .replace("contents: abc", "contents: abd, mode: '0644'")
        .replace("symlink: a", "symlink: c")
        .replace("etc/gone", "etc/new")
}

fn diff(fixture: &Fixture, args: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let Output { status, stdout, stderr } = fixture.lkb(&[&["diff"], args].concat());
    let lines = String::from_utf8(stdout).unwrap().lines().map(str::to_owned).collect();
    (status.code(), lines, String::from_utf8(stderr).unwrap())
}

#[test]
fn every_item_is_shown_with_its_image_and_what_it_brings_along() {
    let fixture = Fixture::new();
    fixture.write("machine.yml", YAML);
    let said = success(&fixture.lkb(&["inspect", "machine.yml"]));
    let first: Vec<&str> = said.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let items =
        ["ITEM", "kernel", "init[0]", "onboot[0] first", "services[0] second", "files", "sbom", "total"];
    assert_eq!(first[..8], items, "{said}");
    assert!(said.lines().nth(1).unwrap().contains("example/kernel:1"), "{said}");
    assert!(!said.contains('\x1b'), "{said}");
    assert_eq!(fixture.outputs(), [""; 0]);
}

#[test]
fn the_json_counts_files_and_bytes_and_its_items_add_up() {
    let fixture = Fixture::new();
    fixture.write("machine.yml", YAML);
    let said = success(&fixture.lkb(&["inspect", "--json", "machine.yml"]));
    let json: Value = serde_json::from_str(&said).unwrap();
    let items = json["items"].as_array().unwrap();
    assert_eq!((&items[0]["item"], &items[0]["files"]), (&"kernel".into(), &1.into()));
    assert_eq!(items[0]["bytes"], 3 << 20);
    assert_eq!((&items[2]["name"], &items[2]["image"]), (&"first".into(), &"example/tool:1".into()));
    // The second container of an image has the first one's files.
    assert!(items[3]["files"].as_u64() < items[2]["files"].as_u64(), "{said}");
    assert_eq!(
        (&items[4]["item"], &items[4]["files"], &items[4]["bytes"]),
        (&"files".into(), &2.into(), &3.into())
    );
    for key in ["files", "bytes"] {
        let sum: u64 = items.iter().map(|item| item[key].as_u64().unwrap()).sum();
        assert_eq!(json["total"][key], sum, "{said}");
    }
}

#[test]
fn the_largest_item_can_come_first() {
    let fixture = Fixture::new();
    fixture.write("machine.yml", &YAML.replace("contents: abc", "source: large"));
    fixture.write("large", &"x".repeat(4 << 20));
    let said = success(&fixture.lkb(&["inspect", "-by-size", "machine.yml"]));
    assert!(said.lines().nth(1).unwrap().starts_with("files "), "{said}");
}

#[test]
fn images_that_were_built_are_looked_into() {
    let fixture = Fixture::new();
    success(&fixture.build(YAML, "tar"));
    success(&fixture.build(YAML, "kernel+initrd"));
    let total = |name: &str| -> serde_json::Value {
        let said = success(&fixture.lkb(&["inspect", "--json", &format!("out/{name}")]));
        serde_json::from_str(&said).unwrap()
    };
    for name in fixture.outputs().iter().filter(|name| !name.ends_with("cmdline")) {
        if name.ends_with("-kernel") {
            let said = failure(&fixture.lkb(&["inspect", &format!("out/{name}")]));
            assert!(said.contains("what can be looked into are configurations"), "{said}");
            continue;
        }
        let json = total(name);
        let sum: u64 =
            json["items"].as_array().unwrap().iter().map(|item| item["bytes"].as_u64().unwrap()).sum();
        assert!(sum > 0 && json["total"]["bytes"] == sum, "{name}: {json}");
        // What a boot loader needs is in the archive alone, and init's marks are in the initrd alone.
        let (_, lines, _) = diff(&fixture, &["machine.yml", &format!("out/{name}")]);
        let rest: Vec<&String> = lines
            .iter()
            .filter(|line| !line.starts_with("- /boot") && !line.starts_with("+ /etc/lkb"))
            .collect();
        assert!(rest.is_empty(), "{name}: {rest:?}");
    }
    let said = failure(&fixture.lkb(&["inspect", "out"]));
    assert!(said.contains("it is a directory"), "{said}");
}

#[test]
fn configurations_and_the_archives_that_they_make_are_compared_entry_by_entry() {
    let fixture = Fixture::new();
    for (name, text) in [("a", A.to_owned()), ("b", b())] {
        fixture.write(&format!("{name}.yml"), &text);
        success(&fixture.lkb(&["build", "--format", "tar", &format!("{name}.yml")]));
    }
    for (one, other) in [("a.yml", "b.yml"), ("a.tar", "b.tar"), ("a.yml", "b.tar"), ("a.tar", "b.yml")] {
        let (code, lines, said) = diff(&fixture, &[one, other]);
        assert_eq!((code, said.as_str()), (Some(1), ""), "{one} {other}");
        let short: Vec<&str> = lines.iter().map(|line| line.split(" → ").next().unwrap()).collect();
        let expected = [
            "~ /boot/cmdline content sha256:",
            "~ /etc/a mode 0600",
            "~ /etc/b target a",
            "- /etc/gone file, 0 bytes, 0600, 0:0",
            "+ /etc/new file, 0 bytes, 0600, 0:0",
        ];
        assert_eq!(short.len(), expected.len(), "{lines:#?}");
        assert!(short.iter().zip(expected).all(|(line, start)| line.starts_with(start)), "{lines:#?}");
    }
    for (one, other) in [("a.yml", "a.tar"), ("a.tar", "a.tar"), ("b.yml", "b.yml")] {
        assert_eq!(diff(&fixture, &[one, other]), (Some(0), vec![], String::new()), "{one} {other}");
    }
    assert_eq!(diff(&fixture, &["-q", "a.yml", "b.yml"]), (Some(1), vec![], String::new()));
    let (code, lines, _) = diff(&fixture, &["--json", "a.yml", "b.tar"]);
    let json: Value = serde_json::from_str(&lines.concat()).unwrap();
    assert_eq!(code, Some(1));
    assert_eq!((&json[1]["path"], &json[1]["change"]), (&"/etc/a".into(), &"changed".into()));
    assert_eq!(json[1]["differences"][0]["after"], "0644");
}

#[test]
fn what_cannot_be_compared_is_said_with_another_status() {
    let fixture = Fixture::new();
    fixture.write("a.yml", A);
    fixture.write("text.tar", "this is no archive");
    fixture.write("wrong.yml", "servces: []");
    for (other, part) in [
        ("text.tar", "text.tar is not a proper tar archive"),
        ("missing.tar", "cannot open missing.tar: No such file"),
        ("-", "-:1:1: the file is empty"),
        ("wrong.yml", "did you mean `services`?"),
        ("out", "cannot open out: it is not a regular file"),
    ] {
        let (code, lines, said) = diff(&fixture, &["a.yml", other]);
        assert_eq!((code, lines.len()), (Some(2), 0), "{said}");
        assert!(said.contains(part), "{said}");
    }
    let (code, _, said) = diff(&fixture, &["-", "-"]);
    assert_eq!((code, said.as_str()), (Some(2), "error: only one of the two can be standard input\n"));
}
