//! The trees that configurations become, entry by entry.

use std::path::PathBuf;

use serde_json::json;
use tar::{EntryType, Header};

use crate::fixture::{Fixture, success, tar};
use crate::listing::{content, listing};

fn golden(name: &str, actual: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect();
    if std::env::var_os("LKB_RENEW_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        actual, expected,
        "{name} differs; LKB_RENEW_GOLDEN=1 cargo test -p lkb --test linuxkit renews it"
    );
}

/// A layer with what LinuxKit leaves out, replaces or keeps.
fn special() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind: EntryType, name: &str, link: &str, content: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o700 } else { 0o4755 });
        header.set_uid(3);
        header.set_gid(4);
        header.set_mtime(1000);
        header.set_size(content.len() as u64);
        if kind == EntryType::Char {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        match link {
            "" => builder.append_data(&mut header, name, content).unwrap(),
            link => builder.append_link(&mut header, name, link).unwrap(),
        }
    };
    for name in [".dockerenv", "Dockerfile", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"] {
        add(EntryType::Regular, name, "", b"of the image");
    }
    add(EntryType::Directory, "etc", "", b"");
    add(EntryType::Char, "dev/null", "", b"");
    add(EntryType::Regular, "usr/bin/tool", "", b"tool");
    add(EntryType::Link, "usr/bin/also", "usr/bin/tool", b"");
    add(EntryType::Symlink, "usr/bin/link", "tool", b"");
    builder.into_inner().unwrap()
}

fn stand_ins() -> Fixture {
    let fixture = Fixture::new();
    let modules = tar(&[("lib/modules/6.1/modules.dep", b"")]);
    fixture.import(
        "stand/kernel:1",
        &[("kernel", b"bzImage"), ("kernel.tar", &modules), ("intel-ucode.cpio", b"070701")],
    );
    let database = |package: &str| format!("P:{package}\nV:1\n\n");
    let (first, second) = (database("first"), database("second"));
    fixture.import(
        "stand/init:1",
        &[("init", b"#!"), ("bin/rc.init", b"init"), ("lib/apk/db/installed", first.as_bytes())],
    );
    fixture.import(
        "stand/runc:1",
        &[("usr/bin/runc", b"runc"), ("bin/rc.init", b"later"), ("lib/apk/db/installed", second.as_bytes())],
    );
    fixture.import_layer("stand/tool:1", &special(), json!({"Entrypoint": ["/usr/bin/tool"]}));
    fixture.import_with("stand/other:1", &[("usr/bin/other", b"other")], json!({"Cmd": ["/usr/bin/other"]}));
    let label =
        json!({"capabilities": ["CAP_KILL"], "binds": ["/run:/run"], "runtime": {"mkdir": ["/run/alone"]}});
    let labels = json!({"org.mobyproject.config": label.to_string()});
    let config = json!({"Cmd": ["/usr/bin/alone"], "Env": ["A=b"], "Labels": labels});
    fixture.import_with("stand/labelled:1", &[("usr/bin/alone", b"alone")], config);
    fixture.write("key.txt", "key\n");
    fixture
}

#[test]
fn golden_every_kind_of_item_lies_where_linuxkit_puts_it() {
    let fixture = stand_ins();
    fixture.write("machine.yml", include_str!("../data/every-item.yml"));
    // The list of packages names the version of who has made it.
    success(&fixture.lkb(&["build", "--no-sbom", "--format", "tar", "--dir", "out", "machine.yml"]));
    let archive = std::fs::read(fixture.out().join("machine.tar")).unwrap();
    golden("every-item.tree", &listing(&archive));
    for (golden_name, file) in [
        ("every-item.metadata.yml", "etc/machine.yml"),
        ("every-item.installed", "lib/apk/db/installed"),
        ("every-item.sysctl.runtime.json", "containers/onboot/000-sysctl/runtime.json"),
        ("every-item.again.runtime.json", "containers/onboot/001-again/runtime.json"),
        ("every-item.bye.runtime.json", "containers/onshutdown/000-bye/runtime.json"),
        ("every-item.alone.config.json", "containers/services/alone/config.json"),
    ] {
        golden(golden_name, &content(&archive, file));
    }
}
