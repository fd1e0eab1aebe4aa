//! Answers in XML, as EC2 and S3 write them: elements and text; attributes are skipped.

/// Deepest nesting.
const MAX_DEPTH: usize = 32;
/// Most elements in one answer.
const MAX_ELEMENTS: usize = 100_000;

/// An element.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads a document.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut open = vec![Self::default()];
        let (mut rest, mut elements) = (text, 0);
        while let Some((before, after)) = rest.split_once('<') {
            let here = open.last_mut().ok_or("an element ends that did not begin")?;
            here.text += &unescaped(before)?;
            let end = if after.starts_with("!--") { "-->" } else { ">" };
            let (tag, behind) = after.split_once(end).ok_or("a tag has no end")?;
            rest = behind;
            match tag.as_bytes().first() {
                Some(b'?') => {}
                Some(b'!') if end == "-->" => {}
                Some(b'!') => return Err("it has a declaration".into()),
                Some(b'/') => {
                    let done = open.pop().ok_or("an element ends that did not begin")?;
                    if tag[1..].trim_end() != done.name {
                        return Err(format!("<{}> does not end", done.name));
                    }
                    open.last_mut().ok_or("an element ends that did not begin")?.children.push(done);
                }
                _ => {
                    elements += 1;
                    if open.len() > MAX_DEPTH || elements > MAX_ELEMENTS {
                        return Err("it has too many elements".into());
                    }
                    let empty = tag.ends_with('/');
                    let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
                    let element = Self { name: name.to_owned(), ..Self::default() };
                    match (empty, open.last_mut()) {
                        (true, Some(parent)) => parent.children.push(element),
                        _ => open.push(element),
                    }
                }
            }
        }
        let mut document = open.pop().filter(|_| open.is_empty()).ok_or("it ends in the middle")?;
        match (document.children.pop(), document.children.is_empty()) {
            (Some(root), true) => Ok(root),
            _ => Err("it has not one root".into()),
        }
    }

    /// The first element along a path: `A/B`.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('/')
            .try_fold(self, |element, name| element.children.iter().find(|child| child.name == name))
    }

    /// The text at a path, if there is any.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.at(path).map(|element| element.text.trim()).filter(|text| !text.is_empty())
    }

    /// The first element of this name, however deep.
    pub(crate) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut pieces = text.split('&');
    let mut done = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once(';').ok_or("an entity has no end")?;
        let number = name.strip_prefix('#').map(|digits| match digits.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => digits.parse(),
        });
        let character = match (name, number) {
            ("lt", _) => Some('<'),
            ("gt", _) => Some('>'),
            ("amp", _) => Some('&'),
            ("quot", _) => Some('"'),
            ("apos", _) => Some('\''),
            (_, Some(Ok(number))) => char::from_u32(number),
            _ => None,
        };
        done.push(character.ok_or_else(|| format!("&{name}; means nothing"))?);
        done += rest;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_read() {
        let text = "<?xml version=\"1.0\"?>\n<R xmlns=\"http://x/\"><!-- <a> --><set><item><id>a &lt;&#38;&#x41;</id></item>\
                    <item/></set><none/><status> ok\n</status></R>\n";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.text("set/item/id"), Some("a <&A"));
        assert_eq!(root.at("set").map(|set| set.children.len()), Some(2));
        assert_eq!((root.text("status"), root.text("none"), root.text("more")), (Some("ok"), None, None));
        assert_eq!(root.find("id"), root.at("set/item/id"));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let deep = "<a>".repeat(40);
        for text in [
            "",
            "text",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a",
            "<a>&x;</a>",
            "<a>&lt</a>",
            "<!DOCTYPE a><a/>",
            &deep,
        ] {
            assert!(Element::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[<>/a&;#!? -]{0,60}") {
            let _either = Element::parse(&text);
        }
    }
}
