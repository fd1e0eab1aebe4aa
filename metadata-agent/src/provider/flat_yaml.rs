//! The flat part of a YAML document: scalars and lists of scalars at its top level, which is all that NoCloud's
//! meta-data has in practice. Deeper parts are left alone. JSON, which YAML contains, is read whole.

use serde_json::{Map, Value};

/// Lines that are read.
const MAX_LINES: usize = 4096;

/// The document as JSON; none if it has no part of the kind.
#[must_use]
pub fn parse(document: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(document).ok()?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).ok().filter(Value::is_object);
    }
    let mut map = Map::new();
    let mut list: Option<String> = None;
    for line in text.lines().take(MAX_LINES) {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') || content == "---" {
            continue;
        }
        if let Some(item) = content.strip_prefix("- ") {
            if let (Some(key), Some(item)) = (&list, scalar(item)) {
                let items = map.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new()));
                items.as_array_mut()?.push(item);
            }
        } else if !line.starts_with([' ', '\t'])
            && let Some((key, value)) = pair(content)
        {
            list = value.is_empty().then(|| key.to_owned());
            if let Some(value) = scalar(value) {
                map.insert(key.to_owned(), value);
            }
        }
    }
    (!map.is_empty()).then_some(Value::Object(map))
}

/// What `key` is in the first item, of a list of maps, that has it.
#[must_use]
pub fn first_in_list(document: &[u8], wanted: &str) -> Option<String> {
    let text = std::str::from_utf8(document).ok()?;
    text.lines().take(MAX_LINES).find_map(|line| {
        let (key, value) = pair(line.trim().trim_start_matches("- ").trim_start())?;
        let value = if key == wanted { scalar(value)? } else { return None };
        value.as_str().map(str::to_owned)
    })
}

/// `key: value`, or `key:`.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))?;
    let key = key.trim().trim_matches(['"', '\'']);
    (!key.is_empty()).then(|| (key, value.trim()))
}

/// A plain or quoted scalar as a text, or a list in JSON's notation; none for everything that needs more of YAML.
fn scalar(value: &str) -> Option<Value> {
    match value.chars().next()? {
        '\'' => Some(Value::String(quoted(value, '\'')?.replace("''", "'"))),
        '"' => serde_json::from_str(&format!("\"{}\"", quoted(value, '"')?)).ok(),
        '[' => serde_json::from_str(value).ok(),
        '{' | '|' | '>' | '&' | '*' | '!' | '%' | '@' | '`' | '#' => None,
        _ => {
            let plain = value.split(" #").next().unwrap_or(value).trim_end();
            Some(Value::String(plain.to_owned()))
        }
    }
}

/// What is between the first and the last quote, if only a comment comes after that.
fn quoted(value: &str, quote: char) -> Option<&str> {
    let (inner, after) = value.strip_prefix(quote)?.rsplit_once(quote)?;
    let after = after.trim();
    (after.is_empty() || after.starts_with('#')).then_some(inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_top_level_of_meta_data_is_read() {
        for (document, wanted) in [
            (
                "instance-id: iid-1\nlocal-hostname: web\n",
                json!({"instance-id": "iid-1", "local-hostname": "web"}),
            ),
            (
                "---\n# c\na: 'it''s' # c\nb: \"x\\ty\"\nc: 42 # n",
                json!({"a": "it's", "b": "x\ty", "c": "42"}),
            ),
            (
                "public-keys:\n  - ssh-rsa A a\n  - \"ssh-rsa B\"\nz: 1",
                json!({"public-keys": ["ssh-rsa A a", "ssh-rsa B"], "z": "1"}),
            ),
            ("public-keys:\n- ssh-rsa A\n", json!({"public-keys": ["ssh-rsa A"]})),
            ("network:\n  version: 2\n  ethernets: {}\na: b", json!({"a": "b"})),
            ("{\"instance-id\": 7}", json!({"instance-id": 7})),
            ("a: |\n  text\nb: c", json!({"b": "c"})),
        ] {
            assert_eq!(parse(document.as_bytes()), Some(wanted), "{document}");
        }
        for nothing in ["", "# only\n", "nonsense", "[1, 2]", "{broken"] {
            assert_eq!(parse(nothing.as_bytes()), None, "{nothing}");
        }
    }

    #[test]
    fn the_first_item_that_has_the_key_says_it() {
        let networks = "- ip: 10.0.0.2\n  alias_ips: []\n- ip: 10.1.0.2\n";
        assert_eq!(first_in_list(networks.as_bytes(), "ip").as_deref(), Some("10.0.0.2"));
        let other_order = "- network_id: 1\n  ip: '10.0.0.3'\n";
        assert_eq!(first_in_list(other_order.as_bytes(), "ip").as_deref(), Some("10.0.0.3"));
        assert_eq!(first_in_list(b"[]\n", "ip"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_an_object_and_no_larger_than_what_was_given(document in "[a-c:#'\"\\[\\]{},\n -]{0,200}") {
            let read = parse(document.as_bytes());
            prop_assert!(read.is_none_or(|value| value.is_object()));
            let first = first_in_list(document.as_bytes(), "a");
            prop_assert!(first.is_none_or(|value| value.len() <= document.len()));
        }
    }
}
