//! Configurations that are named by a URL.

mod fixture;
mod registries;

use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::{Fixture, failure, success};
use registries::fake::{Answer, Fake};

const YAML: &[u8] = b"init: ['example/init:1']\n";

fn lkb(fixture: &Fixture, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lkb"));
    command.current_dir(fixture.dir.path()).env("LINUXKIT_MIRROR", "http://127.0.0.1:1");
    command.args(["--cache", "cache"]).args(args).output().unwrap()
}

#[test]
fn a_configuration_comes_from_a_web_server() {
    let fixture = Fixture::new();
    let failures = AtomicUsize::new(1);
    let server = Fake::new(move |request| match request.path.as_str() {
        "/x/m.yml?token=abc" => Answer::ok(YAML),
        "/moved" => Answer::status(302).with("Location", "/x/m.yml?token=abc"),
        "/busy" if failures.swap(0, Ordering::Relaxed) > 0 => Answer::status(503),
        "/busy" => Answer::ok(YAML),
        _ => Answer::status(404),
    });
    let url = format!("{}/x/m.yml?token=abc", server.url());
    let out = lkb(&fixture, &["build", "--format", "tar", "--dir", "out", &url]);
    success(&out);
    // Named as the file on the server is, without the query.
    assert_eq!(fixture.outputs(), ["m.tar"]);
    for path in ["moved", "busy"] {
        success(&lkb(&fixture, &["build", "--dry-run", &format!("{}/{path}", server.url())]));
    }
    for command in ["validate", "inspect"] {
        success(&lkb(&fixture, &[command, &url]));
    }
}

#[test]
fn what_a_web_server_does_not_give_is_told_with_the_url_and_without_what_opens_it() {
    let fixture = Fixture::new();
    let server = Fake::new(|request| match request.path.split('?').next().unwrap() {
        "/endless" => Answer::ok(&vec![b'#'; 17 << 20]),
        "/cut" => Answer { cut: Some(5), ..Answer::ok(YAML) },
        "/loop" => Answer::status(302).with("Location", "/loop"),
        "/file" => Answer::status(302).with("Location", "file:///etc/passwd"),
        "/binary" => Answer::ok(b"\x7fELF\0"),
        "/local" => Answer::ok(b"init: ['oci:x']\n"),
        _ => Answer::status(404),
    });
    for (path, said) in [
        ("absent", "the server answers HTTP 404"),
        ("endless", "it has more than 16 MiB"),
        ("cut", "cannot read"),
        ("loop", "more than 5 redirects"),
        ("file", "neither https nor http"),
        ("binary", "no YAML in UTF-8 has the byte 0x00"),
        ("local", "relative to the configuration's directory, and this one has none"),
    ] {
        let url = format!("{}/{path}", server.url());
        let text = failure(&lkb(&fixture, &["build", "--format", "tar", &format!("{url}?token=hush")]));
        assert!(text.contains(said) && text.contains(&url) && !text.contains("hush"), "{text}");
    }
    for (url, said) in [
        ("http://127.0.0.1:1/m.yml", "the server cannot be reached"),
        ("https://anna:hush@a.example/m.yml", "has a user name or a password in it"),
    ] {
        let text = failure(&lkb(&fixture, &["build", url]));
        assert!(text.contains(said) && !text.contains("hush"), "{text}");
    }
}
