//! Texts of elements in an OVF environment, `ovf-env.xml`: as much of XML as such a document has.

/// The text of the first element of that name, whatever its namespace's prefix; none if it is absent, empty or holds
/// elements.
#[must_use]
pub fn element(document: &str, name: &str) -> Option<String> {
    let mut rest = document;
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->")?.1;
            continue;
        }
        let (tag, content) = after.split_once('>')?;
        rest = content;
        let qualified = tag.split_ascii_whitespace().next().unwrap_or_default();
        let local = qualified.rsplit(':').next().unwrap_or_default();
        if local == name && !tag.ends_with('/') {
            let (text, end) = content.split_once('<')?;
            let text = text.trim();
            return (end.starts_with('/') && !text.is_empty()).then(|| unescape(text));
        }
    }
    None
}

/// The five entities that XML has by itself.
fn unescape(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, is)| text.replace(entity, is))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_element_is_found_by_its_local_name() {
        let document = r#"<?xml version="1.0"?><ns0:Environment xmlns:ns0="http://x"><!-- <HostName>no</HostName> -->
            <ns1:Set a="b"><ns1:HostName> web-1 </ns1:HostName><ns1:Empty/><ns1:CustomData>YQ==</ns1:CustomData>
            <UserName>a&amp;lt;b</UserName></ns1:Set></ns0:Environment>"#;
        for (name, wanted) in [
            ("HostName", Some("web-1")),
            ("CustomData", Some("YQ==")),
            ("UserName", Some("a&lt;b")),
            ("Empty", None),
            ("Set", None),
            ("Other", None),
        ] {
            assert_eq!(element(document, name).as_deref(), wanted, "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_no_larger_than_what_was_given(document in "[<>/!a-c:& ;-]{0,200}") {
            prop_assert!(element(&document, "a").is_none_or(|text| text.len() <= document.len()));
        }
    }
}
