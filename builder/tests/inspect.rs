//! `lkb inspect`: what would be in an image, and where it comes from.

mod fixture;

use fixture::{Fixture, failure, success};
use serde_json::Value;

const YAML: &str = "kernel:\n  image: example/kernel:1\ninit:\n  - example/init:1\nonboot:\n  - name: first\n    \
                    image: example/tool:1\n    command: [/usr/bin/tool]\nservices:\n  - name: second\n    \
                    image: example/tool:1\n    command: [/usr/bin/tool]\nfiles:\n  - {path: etc/a, contents: abc}\n  \
                    - {path: etc/b, symlink: a}\n";

#[test]
fn every_item_is_shown_with_its_image_and_what_it_brings_along() {
    let fixture = Fixture::new();
    fixture.write("machine.yml", YAML);
    let said = success(&fixture.lkb(&["inspect", "machine.yml"]));
    let first: Vec<&str> = said.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let items = ["ITEM", "kernel", "init[0]", "onboot[0] first", "services[0] second", "files", "total"];
    assert_eq!(first[..7], items, "{said}");
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
fn an_image_that_was_built_is_not_looked_into_yet() {
    let fixture = Fixture::new();
    success(&fixture.build(YAML, "tar,kernel+initrd"));
    for name in fixture.outputs().iter().filter(|name| !name.ends_with("cmdline")) {
        let said = failure(&fixture.lkb(&["inspect", &format!("out/{name}")]));
        assert!(said.contains("cannot be looked into yet; inspect the YAML"), "{said}");
    }
    let said = failure(&fixture.lkb(&["inspect", "out"]));
    assert!(said.contains("it is a directory"), "{said}");
}
