//! User-data as LinuxKit defines it: a JSON map of files, from whom we do not trust.
//!
//! ```json
//! {
//!   "app.conf": { "perm": "0600", "content": "port = 80\n" },
//!   "certs":    { "entries": { "ca.pem": { "content": "…" } } }
//! }
//! ```
//!
//! | | |
//! | --- | --- |
//! | `content` | a text: a file |
//! | `entries` | a map of the same kind: a directory; exactly one of the two |
//! | `perm` | octal digits in a string, masked with 0777; default 0644, directories 0755 |
//!
//! Keys match in any case and unknown ones are ignored, as in LinuxKit. Unlike there, an entry that is wrong costs
//! itself and not the whole document, and no name leads out of the directory or to a file of our own.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::metadata::RESERVED;
use crate::tree::{Entries, Name, NameError, Node, Quoted};

/// Largest user-data, in bytes. Nova takes 65,535 bytes of base64, which is 49,151 bytes of data; EC2 takes 16,384.
pub const MAX_SIZE: usize = 64 * 1024;
/// Directories in directories. Eight names of 255 bytes stay within `PATH_MAX`.
const MAX_DEPTH: usize = 8;
/// Files and directories together.
const MAX_ENTRIES: usize = 1024;

const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// What user-data turned out to be.
#[derive(Debug, PartialEq)]
pub enum UserData {
    /// No bytes at all.
    Empty,
    /// Something that was never meant for us (`#cloud-config`, a script, gzip): kept raw.
    Other(NotJson),
    /// Meant to be JSON and not: kept raw, and worth a complaint.
    Invalid(NotJson),
    /// A map of files.
    Files {
        /// What can be made.
        entries: Entries,
        /// What cannot.
        refused: Vec<Refusal>,
    },
}

/// Why user-data is not a JSON map. Says where, never what: user-data holds secrets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotJson {
    /// A syntax error.
    #[error("not JSON at line {line} column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at a line's beginning.
        column: usize,
    },
    /// Something else than a map.
    #[error("JSON, but not a map of files")]
    NotMap,
}

/// An entry that is not made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("user-data: {}: {why}; refused", Quoted(.path))]
pub struct Refusal {
    /// The keys that lead to it, joined with ` → `.
    pub path: String,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Why {
    /// The key is no file name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The key is a file of our own.
    #[error("the name is reserved for metadata")]
    Reserved,
    /// Not a map.
    #[error("must be a map with \"content\" or \"entries\"")]
    NotMap,
    /// Neither or both.
    #[error("must have either \"content\" or \"entries\"")]
    NotOne,
    /// Content that is no text.
    #[error("\"content\" must be a string")]
    Content,
    /// Entries that are no map.
    #[error("\"entries\" must be a map")]
    Entries,
    /// No octal number.
    #[error("\"perm\" must be a string of octal digits such as \"0644\"")]
    Perm,
    /// Too deep.
    #[error("directories are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// Too many.
    #[error("there are more than {MAX_ENTRIES} files and directories")]
    TooMany,
}

/// Reads user-data, of any bytes.
#[must_use]
pub fn parse(bytes: &[u8]) -> UserData {
    if bytes.is_empty() {
        return UserData::Empty;
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => {
            let mut reader = Reader::default();
            let entries = reader.directory(&map, &[]);
            UserData::Files { entries, refused: reader.refused }
        }
        Ok(_) => UserData::Invalid(NotJson::NotMap),
        Err(error) => {
            let why = NotJson::Syntax { line: error.line(), column: error.column() };
            if bytes.trim_ascii_start().starts_with(b"{") {
                UserData::Invalid(why)
            } else {
                UserData::Other(why)
            }
        }
    }
}

#[derive(Default)]
struct Reader {
    refused: Vec<Refusal>,
    count: usize,
}

impl Reader {
    /// The entries of one map; `parents` are the keys above it.
    fn directory(&mut self, map: &Map<String, Value>, parents: &[&str]) -> Entries {
        let mut entries = Entries::new();
        for (key, value) in map {
            let path = [parents, &[key.as_str()]].concat();
            match self.entry(key, value, &path) {
                Ok((name, node)) => {
                    entries.insert(name, node);
                }
                Err(why) => {
                    self.refused.push(Refusal { path: path.join(" → "), why });
                    if why == Why::TooMany {
                        break;
                    }
                }
            }
        }
        entries
    }

    fn entry(&mut self, key: &str, value: &Value, path: &[&str]) -> Result<(Name, Node), Why> {
        let name = Name::new(key)?;
        let top = path.len() == 1;
        if top && is_reserved(key) {
            return Err(Why::Reserved);
        }
        self.count += 1;
        if self.count > MAX_ENTRIES {
            return Err(Why::TooMany);
        }
        let fields = Fields::of(value.as_object().ok_or(Why::NotMap)?);
        let node = match (fields.content, fields.entries) {
            (Some(content), None) => {
                let content = content.as_str().ok_or(Why::Content)?;
                Node::file(fields.mode(FILE_MODE)?, content)
            }
            (None, Some(entries)) => {
                let entries = entries.as_object().ok_or(Why::Entries)?;
                let mode = fields.mode(DIRECTORY_MODE)?;
                if path.len() > MAX_DEPTH {
                    return Err(Why::TooDeep);
                }
                Node::directory(mode, self.directory(entries, path))
            }
            _ => return Err(Why::NotOne),
        };
        Ok((name, node))
    }
}

/// An entry's fields; null is the same as nothing, as in Go.
#[derive(Default)]
struct Fields<'a> {
    perm: Option<&'a Value>,
    content: Option<&'a Value>,
    entries: Option<&'a Value>,
}

impl<'a> Fields<'a> {
    fn of(map: &'a Map<String, Value>) -> Self {
        let mut fields = Self::default();
        for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            match key.to_ascii_lowercase().as_str() {
                "perm" => fields.perm = Some(value),
                "content" => fields.content = Some(value),
                "entries" => fields.entries = Some(value),
                _ => {}
            }
        }
        fields
    }

    fn mode(&self, default: u32) -> Result<u32, Why> {
        match self.perm {
            None => Ok(default),
            Some(Value::String(text)) if text.is_empty() => Ok(default),
            Some(Value::String(text)) if text.bytes().all(|b| (b'0'..=b'7').contains(&b)) => {
                u32::from_str_radix(text, 8).map(|mode| mode & 0o777).map_err(|_| Why::Perm)
            }
            Some(_) => Err(Why::Perm),
        }
    }
}

/// Names at the top that are ours: what metadata writes, and what [`crate::materialise`] keeps for itself.
fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || crate::materialise::is_internal(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn files(json: &str) -> (Entries, Vec<(String, Why)>) {
        match parse(json.as_bytes()) {
            UserData::Files { entries, refused } => {
                (entries, refused.into_iter().map(|r| (r.path, r.why)).collect())
            }
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn files_and_directories_are_made_as_linuxkit_makes_them() {
        let (entries, refused) = files(
            r#"{
                "plain": {"content": "hello"},
                "empty": {"content": ""},
                "secret": {"perm": "0600", "content": "s", "unknown": [1]},
                "setuid": {"perm": "4755", "content": "x"},
                "Case": {"PERM": "640", "Content": "c"},
                "nothing": {"entries": {}},
                "nulls": {"perm": null, "content": "n", "entries": null},
                "dir": {"perm": "0700", "entries": {"sub": {"entries": {"f": {"content": "deep"}}}, "hostname": {"content": "mine"}}}
            }"#,
        );
        assert_eq!(refused, []);
        let deep = Entries::from([(name("f"), Node::file(0o644, "deep"))]);
        let dir = Entries::from([
            (name("sub"), Node::directory(0o755, deep)),
            (name("hostname"), Node::file(0o644, "mine")), // reserved at the top alone
        ]);
        let wanted = Entries::from([
            (name("plain"), Node::file(0o644, "hello")),
            (name("empty"), Node::file(0o644, "")),
            (name("secret"), Node::file(0o600, "s")),
            (name("setuid"), Node::file(0o755, "x")),
            (name("Case"), Node::file(0o640, "c")),
            (name("nothing"), Node::directory(0o755, Entries::new())),
            (name("nulls"), Node::file(0o644, "n")),
            (name("dir"), Node::directory(0o700, dir)),
        ]);
        assert_eq!(entries, wanted);
    }

    #[test]
    fn a_wrong_entry_is_refused_by_name_and_the_others_apply() {
        for (key, value, why) in [
            ("../../etc/passwd", r#"{"content":"x"}"#, Why::Name(NameError::Slash)),
            ("/etc/passwd", r#"{"content":"x"}"#, Why::Name(NameError::Slash)),
            ("a/b", r#"{"content":"x"}"#, Why::Name(NameError::Slash)),
            ("..", r#"{"entries":{}}"#, Why::Name(NameError::Dots)),
            (".", r#"{"entries":{}}"#, Why::Name(NameError::Dots)),
            ("", r#"{"content":"x"}"#, Why::Name(NameError::Empty)),
            (r"a\u0000b", r#"{"content":"x"}"#, Why::Name(NameError::Control)),
            ("provider", r#"{"content":"x"}"#, Why::Reserved),
            ("userdata", r#"{"content":"x"}"#, Why::Reserved),
            ("hostname", r#"{"content":"x"}"#, Why::Reserved),
            ("instance_id", r#"{"content":"x"}"#, Why::Reserved),
            ("meta_data.json", r#"{"content":"x"}"#, Why::Reserved),
            ("ssh", r#"{"entries":{"authorized_keys":{"content":"x"}}}"#, Why::Reserved),
            (".new-1234", r#"{"content":"x"}"#, Why::Reserved),
            (".manifest", r#"{"content":"x"}"#, Why::Reserved),
            ("k", "7", Why::NotMap),
            ("k", "[]", Why::NotMap),
            ("k", "null", Why::NotMap),
            ("k", "{}", Why::NotOne),
            ("k", r#"{"content":"x","entries":{}}"#, Why::NotOne),
            ("k", r#"{"content":7}"#, Why::Content),
            ("k", r#"{"entries":"x"}"#, Why::Entries),
            ("k", r#"{"content":"x","perm":"rw"}"#, Why::Perm),
            ("k", r#"{"content":"x","perm":"0888"}"#, Why::Perm),
            ("k", r#"{"content":"x","perm":"+644"}"#, Why::Perm),
            ("k", r#"{"content":"x","perm":420}"#, Why::Perm),
            ("k", r#"{"content":"x","perm":"77777777777777777"}"#, Why::Perm),
        ] {
            let json = format!(r#"{{"good":{{"content":"g"}},"{key}":{value}}}"#);
            let (entries, refused) = files(&json);
            assert_eq!(entries, Entries::from([(name("good"), Node::file(0o644, "g"))]), "{json}");
            assert_eq!(refused, [(key.replace(r"\u0000", "\0"), why)], "{json}");
        }
    }

    #[test]
    fn a_refusal_names_the_key_with_the_directories_above_it_and_never_its_content() {
        let json = r#"{"app":{"entries":{"../x":{"content":"S3CRET"}}}}"#;
        let UserData::Files { refused, .. } = parse(json.as_bytes()) else { panic!() };
        assert_eq!(
            refused[0].to_string(),
            r#"user-data: "app → ../x": a name must not contain "/": use "entries" for directories; refused"#
        );
    }

    #[test]
    fn what_is_not_a_json_map_is_told_apart_by_whether_it_was_meant_to_be() {
        let syntax = |line, column| NotJson::Syntax { line, column };
        assert_eq!(parse(b""), UserData::Empty);
        assert_eq!(parse(b"#cloud-config\nx: y\n"), UserData::Other(syntax(1, 1)));
        assert_eq!(parse(b"#!/bin/sh\n"), UserData::Other(syntax(1, 1)));
        assert_eq!(parse(b"\x1f\x8b\x08\x00"), UserData::Other(syntax(1, 1)));
        assert_eq!(parse(b"{\n  \"a\": {\"content\": \"x\"},\n}"), UserData::Invalid(syntax(3, 1)));
        assert_eq!(parse(b"{\"a\": \"S3CRET"), UserData::Invalid(syntax(1, 13)));
        assert_eq!(parse(b"{\"\xff\": {}}"), UserData::Invalid(syntax(1, 3)));
        assert_eq!(parse(b"[]"), UserData::Invalid(NotJson::NotMap));
        assert_eq!(syntax(3, 1).to_string(), "not JSON at line 3 column 1");
    }

    #[test]
    fn depth_and_number_are_limited() {
        let nested = |levels: usize| {
            format!(
                "{{{}\"f\":{{\"content\":\"x\"}}{}}}",
                r#""d":{"entries":{"#.repeat(levels),
                "}}".repeat(levels)
            )
        };
        assert_eq!(files(&nested(MAX_DEPTH)).1, []);
        assert_eq!(files(&nested(MAX_DEPTH + 1)).1.last().unwrap().1, Why::TooDeep);
        assert!(matches!(parse("[".repeat(60_000).as_bytes()), UserData::Other(_)));

        let many: Vec<_> = (0..2000).map(|n| format!(r#""f{n}":{{"content":""}}"#)).collect();
        let (entries, refused) = files(&format!("{{{}}}", many.join(",")));
        assert_eq!(entries.len(), MAX_ENTRIES);
        assert_eq!(refused.iter().map(|(_, why)| *why).collect::<Vec<_>>(), [Why::TooMany]);
    }

    /// Every path of the tree, with its components.
    fn paths(entries: &Entries, parent: &[String], found: &mut Vec<Vec<String>>) {
        for (name, node) in entries {
            let path = [parent, &[name.as_str().to_owned()]].concat();
            if let Node::Directory { entries, .. } = node {
                paths(entries, &path, found);
            }
            found.push(path);
        }
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            "[a-z./]{0,6}",
            Just("content".to_owned()),
            Just("entries".to_owned()),
            Just("perm".to_owned()),
            Just("ssh".to_owned()),
            any::<String>(),
        ];
        let leaf = prop_oneof![
            any::<String>().prop_map(Value::from),
            Just(Value::from("0644")),
            any::<i64>().prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(6, 60, 6, move |inner| {
            proptest::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn no_document_names_a_file_outside_or_one_of_ours(value in json_value()) {
            if let UserData::Files { entries, .. } = parse(value.to_string().as_bytes()) {
                let mut found = Vec::new();
                paths(&entries, &[], &mut found);
                for path in found {
                    prop_assert!(!is_reserved(&path[0]), "{path:?}");
                    for component in &path {
                        prop_assert!(!component.is_empty() && component != "." && component != "..");
                        prop_assert!(!component.contains(['/', '\0']));
                    }
                }
            }
        }

        #[test]
        fn any_bytes_at_all_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            if let UserData::Files { entries, .. } = parse(&bytes) {
                prop_assert!(crate::tree::count(&entries) <= MAX_ENTRIES);
            }
        }
    }
}
