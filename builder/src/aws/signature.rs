//! Signature Version 4 (IAM User Guide, "AWS Signature Version 4 for API requests").

use ring::hmac;
use sha2::{Digest, Sha256};

use super::login::Keys;
use crate::http::Secret;

/// What is signed.
pub(super) struct Question<'a> {
    /// HTTP's method.
    pub(super) method: &'a str,
    /// The path, encoded once, as it is sent.
    pub(super) path: &'a str,
    /// Names in lower case, and values.
    pub(super) headers: Vec<(&'a str, &'a str)>,
    /// The SHA-256 of the body, in hexadecimal digits.
    pub(super) body: &'a str,
}

/// Where and when a signature holds.
pub(super) struct Scope<'a> {
    /// `YYYYMMDDTHHMMSSZ`.
    pub(super) time: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// The value of `Authorization`.
pub(super) fn authorization(question: &Question<'_>, scope: &Scope<'_>, keys: &Keys) -> Secret {
    let Scope { time, region, service } = scope;
    let day = time.split('T').next().unwrap_or_default();
    let mut headers = question.headers.clone();
    headers.sort_unstable();
    let signed = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    // No request of ours has a query: its line is empty.
    let canonical = format!("{}\n{}\n\n{lines}\n{signed}\n{}", question.method, question.path, question.body);
    let credential = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{credential}\n{}", sha256(canonical.as_bytes()));
    let mut key = format!("AWS4{}", keys.secret.reveal()).into_bytes();
    for part in [day, region, service, "aws4_request"] {
        key = hmac(&key, part);
    }
    let signature = hex(&hmac(&key, &text));
    Secret::new(format!(
        "AWS4-HMAC-SHA256 Credential={}/{credential}, SignedHeaders={signed}, Signature={signature}",
        keys.id
    ))
}

/// What tells a request that is repeated from a second one: EC2's `ClientToken`, different whenever it is made.
pub(crate) fn token(about: &str) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    sha256(format!("{about} {now} {}", std::process::id()).as_bytes())
}

/// The SHA-256 of bytes in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of AWS's Signature Version 4 test suite, and of the S3 API reference, "Authenticating Requests:
    /// Using the Authorization Header".
    #[test]
    fn signatures_are_those_that_aws_publishes() {
        const SUITE: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        const S3: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let (suite, s3) = (("20150830T123600Z", "service"), ("20130524T000000Z", "s3"));
        let (empty, welcome) = (sha256(b""), sha256(b"Welcome to Amazon S3."));
        let host = ("host", "example.amazonaws.com");
        let bucket = ("host", "examplebucket.s3.amazonaws.com");
        let cases: [(&str, _, _, _, _, &[u8], _); 4] = [
            (
                "get-vanilla",
                SUITE,
                suite,
                ("GET", "/"),
                vec![host, ("x-amz-date", suite.0)],
                b"",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "post-x-www-form-urlencoded",
                SUITE,
                suite,
                ("POST", "/"),
                vec![host, ("content-type", "application/x-www-form-urlencoded"), ("x-amz-date", suite.0)],
                b"Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "GET Object",
                S3,
                s3,
                ("GET", "/test.txt"),
                vec![bucket, ("range", "bytes=0-9"), ("x-amz-content-sha256", &empty), ("x-amz-date", s3.0)],
                b"",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT Object",
                S3,
                s3,
                ("PUT", "/test%24file.text"),
                vec![
                    bucket,
                    ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                    ("x-amz-content-sha256", &welcome),
                    ("x-amz-date", s3.0),
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ],
                b"Welcome to Amazon S3.",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
        ];
        for (name, secret, (time, service), (method, path), headers, body, signature) in cases {
            let keys = Keys { id: "AKIDEXAMPLE".into(), secret: Secret::new(secret), session: None };
            let question = Question { method, path, headers, body: &sha256(body) };
            let scope = Scope { time, region: "us-east-1", service };
            let authorization = authorization(&question, &scope, &keys);
            assert!(authorization.reveal().ends_with(&format!("Signature={signature}")), "{name}");
        }
    }

    #[test]
    fn two_requests_have_two_tokens() {
        assert_ne!(token("web"), token("web"));
        // EC2 takes 64 characters.
        assert_eq!(token("web").len(), 64);
    }

    #[test]
    fn the_header_says_who_signed_what() {
        let keys = Keys { id: "AKIDEXAMPLE".into(), secret: Secret::new("s"), session: None };
        let question =
            Question { method: "GET", path: "/", headers: vec![("x-b", "2"), ("host", "h")], body: "" };
        let scope = Scope { time: "20150830T123600Z", region: "r", service: "ec2" };
        let header = authorization(&question, &scope, &keys);
        let says = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/r/ec2/aws4_request, SignedHeaders=host;x-b, Signature=";
        assert!(header.reveal().starts_with(says), "{}", header.reveal());
    }
}
