//! What a service says about an error, fit to be shown.

use serde_json::Value;

/// How much is shown, in characters.
const SHOWN: usize = 400;

/// The message of `{"message": …}`, of `{"KIND": {"message": …}}`, or the text of a page, on one line.
pub(super) fn complaint(bytes: &[u8]) -> String {
    let message = serde_json::from_slice::<Value>(bytes).ok().and_then(|json| {
        let object = json.as_object()?;
        let own = object.get("message").or_else(|| object.values().find_map(|kind| kind.get("message")));
        own.and_then(Value::as_str).map(str::to_owned)
    });
    let text = message.unwrap_or_else(|| without_tags(&String::from_utf8_lossy(bytes)));
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

fn without_tags(page: &str) -> String {
    let (mut text, mut tag) = (String::new(), false);
    for c in page.chars() {
        match c {
            '<' => tag = true,
            '>' => {
                tag = false;
                text.push(' ');
            }
            c if !tag => text.push(c),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_found_in_json_and_in_pages() {
        for (body, said) in [
            (
                r#"{"badRequest":{"code":400,"message":"Invalid key_name\nprovided."}}"#,
                "Invalid key_name provided.",
            ),
            (r#"{"error":{"code":401,"message":"Who?","title":"Unauthorized"}}"#, "Who?"),
            (r#"{"message":"quota exceeded","type":"quotas_exceeded"}"#, "quota exceeded"),
            (
                "<html><head><title>415</title></head>\n<body><h1>415 Unsupported</h1></body>",
                "415 415 Unsupported",
            ),
            ("", ""),
        ] {
            assert_eq!(complaint(body.as_bytes()), said);
        }
        assert_eq!(complaint(&[b'x'; 5000]).len(), SHOWN);
    }
}
