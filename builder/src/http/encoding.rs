//! Texts in addresses and forms (RFC 3986, section 2.3).

/// As the value of a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => encoded.push(byte.into()),
            byte => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// As a path, whose slashes stay.
pub(crate) fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// As a form, `application/x-www-form-urlencoded`.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    fields.collect::<Vec<_>>().join("&")
}

/// Scheme and host of an address; what may be sent to one may be sent to another of the same.
pub(crate) fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_means_nothing_in_an_address_stays() {
        assert_eq!(encoded("a b&ä/~"), "a%20b%26%C3%A4%2F~");
        assert_eq!(encoded_path("/a b/c$d"), "/a%20b/c%24d");
        assert_eq!(form(&[("Name.1", "a=b"), ("x", "+")]), "Name.1=a%3Db&x=%2B");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (url, expected) in [
            ("https://a.example/b?c", "https://a.example"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("https://a.example?x=/", "https://a.example"),
            ("https://user@a.example/", "https://user@a.example"),
        ] {
            assert_eq!(origin(url), expected);
        }
    }
}
