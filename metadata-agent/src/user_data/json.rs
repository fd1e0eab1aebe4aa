//! LinuxKit's form: a JSON map of files.
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

use super::{Form, Gathering, MAX_DEPTH, Why, is_reserved, merge};
use crate::tree::{Entries, Name, Node};

pub(super) const FORM: Form =
    Form { fits: |bytes| matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')), read };

const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// What is wrong with a document or an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Wrong {
    /// A syntax error.
    #[error("not JSON at line {line} column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at a line's beginning.
        column: usize,
    },
    /// Something else than a map at the top.
    #[error("JSON, but not a map of files")]
    NotFiles,
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
}

fn read(bytes: &[u8], gathering: &mut Gathering) {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => {
            let entries = gathering.directory(&map, &[]);
            merge(&mut gathering.found.entries, entries);
        }
        Ok(_) => gathering.refuse(&[], Wrong::NotFiles),
        Err(error) => {
            gathering.refuse(&[], Wrong::Syntax { line: error.line(), column: error.column() });
        }
    }
}

impl Gathering {
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
                    let last = why == Why::TooMany;
                    self.refuse(&path, why);
                    if last {
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
        self.count()?;
        let fields = Fields::of(value.as_object().ok_or(Wrong::NotMap)?);
        let node = match (fields.content, fields.entries) {
            (Some(content), None) => {
                let content = content.as_str().ok_or(Wrong::Content)?;
                Node::file(fields.mode(FILE_MODE)?, content)
            }
            (None, Some(entries)) => {
                let entries = entries.as_object().ok_or(Wrong::Entries)?;
                let mode = fields.mode(DIRECTORY_MODE)?;
                if path.len() > MAX_DEPTH {
                    return Err(Why::TooDeep);
                }
                Node::directory(mode, self.directory(entries, path))
            }
            _ => return Err(Wrong::NotOne.into()),
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

    fn mode(&self, default: u32) -> Result<u32, Wrong> {
        match self.perm {
            None => Ok(default),
            Some(Value::String(text)) if text.is_empty() => Ok(default),
            Some(Value::String(text)) if text.bytes().all(|b| (b'0'..=b'7').contains(&b)) => {
                u32::from_str_radix(text, 8).map(|mode| mode & 0o777).map_err(|_| Wrong::Perm)
            }
            Some(_) => Err(Wrong::Perm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::NameError;
    use crate::user_data::{MAX_ENTRIES, parse};
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn files(json: &str) -> (Entries, Vec<(String, Why)>) {
        let found = parse(json.as_bytes());
        assert_eq!(found.ignored, []);
        (found.entries, found.refused.into_iter().map(|r| (r.path, r.why)).collect())
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
            (".data", r#"{"content":"x"}"#, Why::Reserved),
            (".tree-1", r#"{"content":"x"}"#, Why::Reserved),
            (".source.json", r#"{"content":"x"}"#, Why::Reserved),
            (".image", r#"{"content":"x"}"#, Why::Reserved),
            ("k", "7", Why::Json(Wrong::NotMap)),
            ("k", "[]", Why::Json(Wrong::NotMap)),
            ("k", "null", Why::Json(Wrong::NotMap)),
            ("k", "{}", Why::Json(Wrong::NotOne)),
            ("k", r#"{"content":"x","entries":{}}"#, Why::Json(Wrong::NotOne)),
            ("k", r#"{"content":7}"#, Why::Json(Wrong::Content)),
            ("k", r#"{"entries":"x"}"#, Why::Json(Wrong::Entries)),
            ("k", r#"{"content":"x","perm":"rw"}"#, Why::Json(Wrong::Perm)),
            ("k", r#"{"content":"x","perm":"0888"}"#, Why::Json(Wrong::Perm)),
            ("k", r#"{"content":"x","perm":"+644"}"#, Why::Json(Wrong::Perm)),
            ("k", r#"{"content":"x","perm":420}"#, Why::Json(Wrong::Perm)),
            ("k", r#"{"content":"x","perm":"77777777777777777"}"#, Why::Json(Wrong::Perm)),
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
        let refused = parse(json.as_bytes()).refused;
        assert_eq!(
            refused[0].to_string(),
            r#"user-data: "app → ../x": a name must not contain "/": use "entries" for directories; refused"#
        );
    }

    #[test]
    fn what_is_no_map_is_refused_as_a_whole() {
        let syntax = |line, column| Wrong::Syntax { line, column };
        for (json, why) in [
            (&b"{\n  \"a\": {\"content\": \"x\"},\n}"[..], syntax(3, 1)),
            (b"{\"a\": \"S3CRET", syntax(1, 13)),
            (b"{\"\xff\": {}}", syntax(1, 3)),
            (b"[]", Wrong::NotFiles),
        ] {
            let found = parse(json);
            assert_eq!(found.entries, Entries::new());
            assert_eq!(found.refused, [crate::user_data::Refusal { path: String::new(), why: why.into() }]);
        }
        assert_eq!(
            parse(b"{\n\"a\": x}").refused[0].to_string(),
            "user-data: not JSON at line 2 column 6; kept raw as the file userdata alone"
        );
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
        assert_eq!(files(&"[".repeat(60_000)).1.len(), 1);

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
            { let entries = parse(value.to_string().as_bytes()).entries;
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
            { let entries = parse(&bytes).entries;
                prop_assert!(crate::tree::count(&entries) <= MAX_ENTRIES);
            }
        }
    }
}
