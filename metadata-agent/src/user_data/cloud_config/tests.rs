//! Documents as cloud-init's manual shows them, and others.

use proptest::prelude::*;

use super::*;
use crate::tree::{Entries, Node, Owner};
use crate::user_data::{UserData, parse};

fn config(text: &str) -> UserData {
    parse(format!("#cloud-config\n{text}").as_bytes())
}

/// What is wrong, as messages.
fn refused(text: &str) -> Vec<String> {
    config(text).refused.iter().map(ToString::to_string).collect()
}

fn file<'e>(entries: &'e Entries, path: &str) -> &'e Node {
    let mut at = entries;
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let find =
        |at: &'e Entries, name: &str| at.iter().find(|(n, _)| n.as_str() == name).expect("no such file").1;
    for name in above.split('/').filter(|name| !name.is_empty()) {
        let Node::Directory { entries, .. } = find(at, name) else { panic!("{path}: {name} is a file") };
        at = entries;
    }
    find(at, name)
}

#[test]
fn the_host_name_is_what_the_four_keys_together_say() {
    for (text, wanted) in [
        ("hostname: web", Some("web")),
        ("fqdn: web.example.com", Some("web.example.com")),
        ("hostname: web\nfqdn: web.example.com", Some("web")),
        ("hostname: web\nfqdn: web.example.com\nprefer_fqdn_over_hostname: true", Some("web.example.com")),
        ("hostname: web\npreserve_hostname: yes", None),
        ("hostname: 007", Some("007")),
        ("hostname: ~", None),
        ("", None),
    ] {
        let found = config(text);
        assert_eq!((found.hostname.as_deref(), found.refused.len()), (wanted, 0), "{text}");
    }
    assert_eq!(refused("hostname: [a]"), [r#"user-data: "hostname": must be a text; refused"#]);
    assert_eq!(refused("preserve_hostname: maybe").len(), 1);
}

#[test]
fn keys_of_all_users_are_gathered() {
    let found = config(
        "ssh_authorized_keys:\n  - ssh-ed25519 AAAA me@home # mine\n  - \"ssh-rsa BBBB: # x\"\n\
         users:\n- default\n- name: bob\n  sudo: ALL=(ALL) NOPASSWD:ALL\n  ssh-authorized-keys:\n  - ssh-rsa CCCC\n\
         - {name: eve, ssh_authorized_keys: [ssh-rsa DDDD, 'ssh-rsa EEEE']}\n",
    );
    assert_eq!(found.refused, []);
    assert_eq!(
        found.keys,
        ["ssh-ed25519 AAAA me@home", "ssh-rsa BBBB: # x", "ssh-rsa CCCC", "ssh-rsa DDDD", "ssh-rsa EEEE"]
    );
}

#[test]
fn files_have_the_content_owner_and_permissions_that_are_asked_for() {
    let found = config(
        r#"
write_files:
- encoding: b64
  content: aGVsbG8=
  owner: root:root
  path: /etc/sysconfig/selinux
  permissions: '0644'
- content: |
    # My new file
      indented: yes

    last
  path: /etc/app.conf
  owner: 1000:100
  permissions: 0600
- path: /bin/arch
  permissions: '0555'
  content: !!binary |
    f0VMRgIB
    AQ==
- encoding: gzip
  content: !!binary |
    H4sIAAAAAAACA8tIzcnJBwCGphA2BQAAAA==
  path: /usr/bin/hello
- {path: /etc/app.conf, content: "more\n", append: true}
- path: /var/config/app/port
  content: "80"
- path: /run/config/top
- path: /folded
  content: >-
    one
    line

    two
"#,
    );
    assert_eq!(found.refused, []);
    let at = |path| file(&found.entries, path);
    assert_eq!(
        *at("files/etc/sysconfig/selinux"),
        Node::file(0o644, "hello").owned_by(Owner { user: 0, group: 0 })
    );
    let app = Node::file(0o600, "# My new file\n  indented: yes\n\nlast\nmore\n");
    assert_eq!(*at("files/etc/app.conf"), app.owned_by(Owner { user: 1000, group: 100 }));
    assert_eq!(*at("files/bin/arch"), Node::file(0o555, *b"\x7fELF\x02\x01\x01"));
    assert_eq!(*at("files/usr/bin/hello"), Node::file(0o644, "hello"));
    assert_eq!(*at("app/port"), Node::file(0o644, "80"));
    assert_eq!(*at("top"), Node::file(0o644, ""));
    assert_eq!(*at("files/folded"), Node::file(0o644, "one line\ntwo"));
}

#[test]
fn a_wrong_file_costs_itself() {
    for (file, why) in [
        ("path: etc/x", r#"etc/x": "path" must be an absolute path of a file"#),
        ("path: /etc/", r#"/etc/": "path" must be an absolute path of a file"#),
        ("path: /", r#"/": "path" must be an absolute path of a file"#),
        ("content: x", r#"1": "path" must be an absolute path of a file"#),
        ("path: /../../etc/shadow", r#"/../../etc/shadow": a name must not be "." or "..""#),
        ("path: /var/config/../x", r#"/var/config/../x": a name must not be "." or "..""#),
        ("path: /var/config/ssh/authorized_keys", "the name is reserved for metadata"),
        ("path: /var/config/.data", "the name is reserved for metadata"),
        ("path: /a/b/c/d/e/f/g/h/i", "directories are nested deeper than 8"),
        ("{path: /x, owner: 'www-data:www-data'}", r#""owner" must be root or numbers"#),
        ("{path: /x, permissions: 644}", r#"permissions" must be octal digits"#),
        ("{path: /x, permissions: '0o999'}", r#"permissions" must be octal digits"#),
        ("{path: /x, encoding: rot13}", "unknown \"encoding\""),
        ("{path: /x, encoding: b64, content: '!'}", "not base64"),
        ("{path: /x, encoding: gz, content: 'x'}", "not a whole gzip stream"),
        ("{path: /x, content: [S3CRET]}", "must be a text"),
        ("just text", r#"1": must be a map"#),
    ] {
        let text = format!("write_files:\n- path: /good\n- {file}\n- path: /also\n");
        let found = config(&text);
        let refused: Vec<_> = found.refused.iter().map(ToString::to_string).collect();
        assert_eq!(refused.len(), 1, "{file}: {refused:?}");
        assert!(refused[0].contains(why), "{file}: {}", refused[0]);
        assert!(!refused[0].contains("S3CRET"));
        assert_eq!(crate::tree::count(&found.entries), 3, "{file}");
    }
}

#[test]
fn time_and_name_servers_become_files() {
    let found = config(
        "ntp:\n  enabled: true\n  servers: [ntp.example.com, 192.0.2.1]\n  pools:\n    - pool.example.com\n\
         manage_resolv_conf: true\nresolv_conf:\n  nameservers: ['4.4.4.4', 2001:db8::1]\n  searchdomains:\n    - foo.example.com\n\
         \x20   - example.com\n  domain: example.com\n  options:\n    rotate: true\n    timeout: 1\n    debug: false\n",
    );
    assert_eq!(found.refused, []);
    let at = |path| file(&found.entries, path);
    assert_eq!(*at("ntp/servers"), Node::file(0o644, "ntp.example.com\n192.0.2.1\n"));
    assert_eq!(*at("ntp/pools"), Node::file(0o644, "pool.example.com\n"));
    let wanted = "domain example.com\nsearch foo.example.com example.com\nnameserver 4.4.4.4\n\
                  nameserver 2001:db8::1\noptions rotate timeout:1\n";
    assert_eq!(*at("resolv.conf"), Node::file(0o644, wanted));

    assert_eq!(config("ntp: {enabled: false, servers: [a]}").entries, Entries::new());
    let unmanaged = config("resolv_conf: {nameservers: [4.4.4.4]}");
    assert_eq!((unmanaged.entries.len(), unmanaged.ignored.len()), (0, 1));
    for wrong in [
        "nameservers: [evil]",
        "searchdomains: ['a b']",
        "options: {'a b': 1}",
        "domain: -x",
        "nameservers: 1.1.1.1",
    ] {
        assert_eq!(
            refused(&format!("manage_resolv_conf: true\nresolv_conf:\n  {wrong}")).len(),
            1,
            "{wrong}"
        );
    }
    assert_eq!(refused("ntp: {servers: ['a b']}").len(), 1);
}

#[test]
fn other_keys_are_named_and_ignored() {
    let found = config("packages: [vim]\nruncmd:\n - [ls, -l, /]\n - echo S3CRET\nhostname: web\n");
    let said: Vec<_> = found.ignored.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            r#"user-data: "packages": a key that is not acted on here"#,
            r#"user-data: "runcmd": a key that is not acted on here"#
        ]
    );
    assert_eq!(found.hostname.as_deref(), Some("web"));
}

#[test]
fn what_is_not_read_of_yaml_is_refused_with_its_line() {
    for (text, line, fault) in [
        ("a: &x 1", 2, Fault::Unsupported),
        ("a: *x", 2, Fault::Unsupported),
        ("a: !!python/object x", 2, Fault::Unsupported),
        ("<<: {a: 1}", 2, Fault::Unsupported),
        ("a: 1\na: 2", 3, Fault::Twice),
        ("a: {b: 1, b: 2}", 2, Fault::Twice),
        ("a:\n\tb: 1", 3, Fault::Tab),
        ("a: 1\n  b: 2", 3, Fault::Indentation),
        ("a:\n    b: 1\n  c: 2", 4, Fault::Indentation),
        ("a: b: c", 2, Fault::Trailing),
        ("a: \"x", 2, Fault::Open),
        ("a: 'x' y", 2, Fault::Trailing),
        ("a: [1, 2", 2, Fault::Open),
        ("a: [1] x", 2, Fault::Trailing),
        ("a: \"\\q\"", 2, Fault::Escape),
        ("a: |x\n  b", 2, Fault::Block),
        ("a: !!binary '!'", 2, Fault::Binary),
        ("a: 1\n---\nb: 2", 3, Fault::Document),
        ("a: 1\njust text", 3, Fault::Key),
    ] {
        let found = config(text).refused;
        let wanted = Why::from(Wrong::from(YamlError { line, fault }));
        assert_eq!(found.iter().map(|r| r.why).collect::<Vec<_>>(), [wanted], "{text}");
    }
    let deep = format!("a: {}1{}", "[".repeat(40), "]".repeat(40));
    assert!(refused(&deep)[0].contains("nested deeper than 16"));
    assert!(refused(&format!("{}x: 1", "- ".repeat(10_000)))[0].contains("nested deeper than 16"));
    assert!(refused(&"\n".repeat(70_000))[0].contains("line 65537: more than 65536 lines"));
    assert!(refused(&format!("a: [{}]", "1,".repeat(20_000)))[0].contains("more than 16384 values"));
}

#[test]
fn a_document_may_be_json_have_a_marker_and_windows_line_ends() {
    for text in [
        "{\"hostname\": \"web\",\n  \"users\": []}",
        "---\nhostname: web\n",
        "hostname: web\r\nusers: []\r\n",
        "# a comment\n\n  # another\nhostname:\n  web # the name\n",
        "\"hostname\": 'web'",
    ] {
        let found = config(text);
        assert_eq!((found.hostname.as_deref(), found.refused.as_slice()), (Some("web"), &[][..]), "{text}");
    }
}

#[test]
fn escapes_blocks_and_folding_are_as_yaml_has_them() {
    for (value, wanted) in [
        (r#""a\tb\n\u00e9\x41""#, "a\tb\né A".replace(" ", "")),
        ("'it''s'", "it's".into()),
        ("a#b", "a#b".into()),
        ("http://x:80/", "http://x:80/".into()),
        ("|\n  a\n\n  b\n\n", "a\n\nb\n".into()),
        ("|+\n  a\n\n", "a\n\n".into()),
        ("|-\n  a\n\n", "a".into()),
        ("|2\n    a\n  b\n", "  a\nb\n".into()),
        (">\n  a\n  b\n\n  c\n    d\n  e\n", "a b\nc\n  d\ne\n".into()),
        ("!!str 12", "12".into()),
    ] {
        let found = yaml::parse(&format!("k: {value}")).unwrap();
        let Yaml::Map(map) = found else { panic!() };
        assert_eq!(text(&map[0].1), Some(wanted.as_str()), "{value}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_line_that_exists(text in "[a-c:\\-{}\\[\\]|>'\"# \n,!&*0]{0,80}") {
        if let Err(error) = yaml::parse(&text) {
            prop_assert!(error.line <= text.lines().count() + 1);
        }
    }
}
