//! Forms by themselves and in each other.

use std::io::Write;

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

const JSON: &str = r#"{"a": {"content": "1"}}"#;
const CLOUD_CONFIG: &str = "#cloud-config\nhostname: web\n";

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn b64(bytes: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(bytes);
    let lines: Vec<_> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("{}\n", lines.join("\n")).into_bytes()
}

/// What a tree holds: `path = content`, sorted.
fn shown(entries: &Entries) -> Vec<String> {
    fn walk(entries: &Entries, parent: &str, found: &mut Vec<String>) {
        for (name, node) in entries {
            let path = format!("{parent}{}", name.as_str());
            match node {
                Node::File { mode, content, .. } => {
                    found.push(format!("{path} {mode:o} {}", String::from_utf8_lossy(content)));
                }
                Node::Directory { entries, .. } => walk(entries, &format!("{path}/"), found),
            }
        }
    }
    let mut found = Vec::new();
    walk(entries, "", &mut found);
    found
}

fn clean(bytes: &[u8]) -> UserData {
    let found = parse(bytes);
    assert_eq!((found.refused.as_slice(), found.ignored.as_slice()), (&[][..], &[][..]));
    found
}

fn why(bytes: &[u8]) -> Vec<Why> {
    parse(bytes).refused.into_iter().map(|refusal| refusal.why).collect()
}

#[test]
fn nothing_is_nothing_and_the_unknown_is_ignored_with_a_word() {
    assert_eq!(parse(b""), UserData::default());
    for unknown in
        [&b"hello world"[..], b"\0\xff", b"aGVsbG8gd29ybGQ=", b"#cloud-configuration\n", b"#include\n"]
    {
        let found = parse(unknown);
        assert_eq!((found.refused.len(), found.ignored.len()), (0, 1), "{unknown:?}");
        assert_eq!(
            found.ignored[0].to_string(),
            "user-data: neither JSON, #cloud-config, a script, MIME nor gzip; kept raw as the file userdata alone"
        );
    }
}

#[test]
fn a_form_may_be_wrapped_in_gzip_and_base64() {
    for wrapped in [
        gz(JSON.as_bytes()),
        b64(JSON.as_bytes()),
        b64(&gz(JSON.as_bytes())),
        gz(&b64(JSON.as_bytes())),
        gz(&gz(JSON.as_bytes())),
    ] {
        assert_eq!(shown(&clean(&wrapped).entries), ["a 644 1"]);
    }
    let mut deep = JSON.as_bytes().to_vec();
    (0..MAX_NESTING).for_each(|_| deep = gz(&deep));
    assert_eq!(why(&deep), [Why::Nested]);
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let content = |size| format!(r#"{{"a": {{"content": "{}"}}}}"#, "x".repeat(size));
    assert_eq!(clean(&gz(content(60_000).as_bytes())).entries.len(), 1, "a few repeated lines are no bomb");
    assert_eq!(why(&gz(content(2_000_000).as_bytes())), [Why::TooLarge], "a thousand to one");
    // Hard to compress, so that only the size is against it.
    let mut seed = 1_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (seed >> 24) as u8 % 16)
    };
    let large: String = (0..MAX_UNPACKED).map(|_| noise()).collect();
    assert_eq!(why(&gz(format!("#!{large}").as_bytes())), [Why::TooLarge]);
    let whole = gz(JSON.as_bytes());
    assert_eq!(why(&whole[..whole.len() - 4]), [Why::Gzip]);
}

#[test]
fn a_script_is_kept_and_nothing_else() {
    let found = clean(b"#!/bin/sh\nreboot\n");
    assert_eq!(shown(&found.entries), ["scripts/user-data 700 #!/bin/sh\nreboot\n"]);
}

fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut mail =
        b"Content-Type: multipart/mixed;\r\n boundary=\"=_x\"\r\nMIME-Version: 1.0\r\n\r\npreamble\r\n"
            .to_vec();
    for (headers, body) in parts {
        mail.extend(b"--=_x\r\n");
        mail.extend(headers.as_bytes());
        mail.extend(b"\r\n");
        mail.extend(*body);
        mail.extend(b"\r\n");
    }
    mail.extend(b"--=_x--\r\nepilogue\r\n");
    mail
}

#[test]
fn parts_are_read_each_as_what_it_is_and_the_later_wins() {
    let found = clean(&multipart(&[
        ("Content-Type: text/cloud-config\r\n", b"hostname: first\nssh_authorized_keys: [k1]\n"),
        ("Content-Type: text/plain; charset=\"utf-8\"\r\n", CLOUD_CONFIG.as_bytes()),
        ("", JSON.as_bytes()),
        (
            "Content-Type: application/json\r\n",
            br#"{"a": {"content": "2"}, "d": {"entries": {"x": {"content": ""}}}}"#,
        ),
        (
            "Content-Type: text/x-shellscript\r\nContent-Disposition: attachment; filename=\"setup.sh\"\r\n",
            b"#!/bin/sh",
        ),
        (
            "Content-Type: text/x-shellscript\r\nContent-Disposition: attachment; filename=\"../x\"\r\n",
            b"#!/bin/ash",
        ),
        (
            "Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n",
            &b64(&gz(br#"{"g": {"content": "g"}}"#)),
        ),
        ("Content-Transfer-Encoding: quoted-printable\r\n", b"{\"q\": {\"content\": =\r\n\"=C3=A9 =zz\"}}"),
        ("", b"\r\n"),
    ]));
    assert_eq!(
        shown(&found.entries),
        [
            "a 644 2",
            "d/x 644 ",
            "g 644 g",
            "q 644 é =zz",
            "scripts/part-006 700 #!/bin/ash",
            "scripts/setup.sh 700 #!/bin/sh",
        ]
    );
    assert_eq!((found.hostname.as_deref(), found.keys), (Some("web"), vec!["k1".to_owned()]));
}

#[test]
fn a_wrong_part_costs_itself() {
    let found = parse(&multipart(&[
        ("Content-Transfer-Encoding: base64\r\n", b"!"),
        ("Content-Transfer-Encoding: uuencode\r\n", b"x"),
        ("no header\r\n", b"x"),
        ("Content-Type: text/x-include-url\r\n", b"http://example.com/"),
        ("Content-Type: multipart/mixed\r\n", b"x"),
        ("", JSON.as_bytes()),
    ]));
    let refused: Vec<_> = found.refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        refused,
        [
            r#"user-data: "part 1": not base64; refused"#,
            r#"user-data: "part 2": unknown Content-Transfer-Encoding; refused"#,
            r#"user-data: "part 3": a header longer than 8192 bytes or without an empty line after it; refused"#,
            r#"user-data: "part 5": multipart without a boundary of 1 to 70 characters; refused"#,
        ]
    );
    assert_eq!(
        found.ignored[0].to_string(),
        r#"user-data: "part 4": a part of a type that is not acted on here"#
    );
    assert_eq!(shown(&found.entries), ["a 644 1"]);
}

#[test]
fn parts_are_limited_and_one_that_was_cut_off_is_told() {
    let many = vec![("", &b"#!x"[..]); 65];
    assert_eq!(why(&multipart(&many)), [Why::Mime(mime::Wrong::Parts)]);
    let whole = multipart(&[("", JSON.as_bytes()), ("", JSON.as_bytes())]);
    let cut = &whole[..whole.len() - 40];
    assert!(why(cut).contains(&Why::Mime(mime::Wrong::Cut)));
    assert_eq!(shown(&parse(cut).entries), ["a 644 1"]);
    let mut nested = JSON.as_bytes().to_vec();
    for level in 0..40 {
        let headers = format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
        nested = [headers.as_bytes(), &nested, format!("\n--b{level}--\n").as_bytes()].concat();
    }
    assert_eq!(why(&nested), [Why::Nested]);
}

proptest! {
    #[test]
    fn any_bytes_at_all_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500), form in 0..6_usize) {
        let starts = [&b""[..], b"#cloud-config\n", b"#!", b"MIME-Version: 1.0\n", b"{", b"\x1f\x8b\x08\0"];
        let found = parse(&[starts[form], &bytes].concat());
        prop_assert!(crate::tree::count(&found.entries) <= MAX_ENTRIES);
        for name in found.entries.keys() {
            prop_assert!(!is_reserved(name.as_str()));
        }
    }
}
