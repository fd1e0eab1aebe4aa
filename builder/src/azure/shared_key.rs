//! How questions to a storage account are signed.
//!
//! Source: "Authorize with Shared Key", "Blob, Queue, and File Services (Shared Key authorization)", versions since
//! 2015-02-21.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::http::Secret;

/// A question, as far as it is signed.
#[derive(Debug)]
pub struct Question<'a> {
    /// In capital letters.
    pub method: &'a str,
    /// The path, encoded, with its slash.
    pub path: &'a str,
    /// Names in lower case, and values that are not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Bytes of the body.
    pub len: usize,
    /// The body's type, if it has one.
    pub kind: &'a str,
    /// The `x-ms-` headers, in lower case.
    pub headers: &'a [(&'a str, String)],
}

/// The key of a storage account.
pub struct Key {
    account: String,
    key: hmac::Key,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Key {
    /// Of an account's name and its key in base64; `None` when that is none.
    pub fn new(account: &str, key: &str) -> Option<Self> {
        let key = STANDARD.decode(key).ok()?;
        Some(Self { account: account.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &key) })
    }

    /// The value of `Authorization`.
    pub fn sign(&self, question: &Question<'_>) -> Secret {
        let signature = hmac::sign(&self.key, text(&self.account, question).as_bytes());
        Secret::new(format!("SharedKey {}:{}", self.account, STANDARD.encode(signature)))
    }
}

/// What is signed.
fn text(account: &str, question: &Question<'_>) -> String {
    let Question { method, path, query, len, kind, headers } = question;
    let len = if *len == 0 { String::new() } else { len.to_string() };
    // Content-Encoding and -Language; then, behind the type: Date, four conditions, and Range. None of them is sent.
    let mut text = format!("{method}\n\n\n{len}\n\n{kind}\n\n\n\n\n\n\n");
    let mut headers: Vec<_> = headers.iter().collect();
    headers.sort();
    for (name, value) in headers {
        text += &format!("{name}:{value}\n");
    }
    text += &format!("/{account}{path}");
    let mut query: Vec<_> = query.iter().collect();
    query.sort();
    for (name, value) in query {
        text += &format!("\n{name}:{value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first example of the source, in its order of headers.
    #[test]
    fn a_question_is_written_as_documented() {
        let headers = [
            ("x-ms-version", "2015-02-21".to_owned()),
            ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT".to_owned()),
        ];
        let question = Question {
            method: "GET",
            path: "/mycontainer",
            query: &[("restype", "container"), ("comp", "metadata"), ("timeout", "20")],
            len: 0,
            kind: "",
            headers: &headers,
        };
        assert_eq!(
            text("myaccount", &question),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
        let put =
            Question { method: "PUT", len: 512, kind: "application/octet-stream", query: &[], ..question };
        assert!(
            text("a", &put).starts_with("PUT\n\n\n512\n\napplication/octet-stream\n\n\n\n\n\n\nx-ms-date")
        );
    }

    /// RFC 4231, test case 1, is HMAC itself; this is that the key is decoded, and the signature encoded.
    #[test]
    fn a_signature_names_the_account_and_hides_the_key() {
        let key = Key::new("myaccount", "c2VjcmV0").unwrap();
        let question = Question { method: "GET", path: "/", query: &[], len: 0, kind: "", headers: &[] };
        let expected = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, b"secret"),
            b"GET\n\n\n\n\n\n\n\n\n\n\n\n/myaccount/",
        );
        let signed = key.sign(&question);
        assert_eq!(signed.reveal(), format!("SharedKey myaccount:{}", STANDARD.encode(expected)));
        assert!(!format!("{key:?}").contains("secret"));
        assert!(Key::new("a", "no base64!").is_none());
    }
}
