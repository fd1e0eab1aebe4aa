//! Requests and answers.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, AsSendBody, Body};

use super::OpenStackError;
use crate::image::registry::secret::Secret;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(20);
/// How long the other side may say nothing. Storage behind the Image service may be slow with a large image.
const SILENCE: Duration = Duration::from_secs(600);
/// Largest answer, in bytes.
const MAX_ANSWER: u64 = 16 << 20;
/// Largest file of certificates, in bytes.
const MAX_CERTIFICATES: u64 = 16 << 20;
/// How much of what a service complains about is shown, in characters.
const SHOWN: usize = 400;

/// Sends requests.
pub struct Client {
    agent: Agent,
}

/// An answer that is no error.
#[derive(Debug)]
pub struct Answer {
    /// `X-Subject-Token`.
    pub token: Option<Secret>,
    /// The body; null when it is no JSON.
    pub body: Value,
}

/// Why a request has no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// There was none.
    Unreachable(String),
    /// It was refused.
    Refused {
        /// HTTP's status.
        status: u16,
        /// What the service says.
        message: String,
    },
    /// It is not what was to be expected.
    Unexpected(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) => write!(f, "no answer: {reason}"),
            Self::Refused { status, message } if message.is_empty() => {
                write!(f, "the cloud answers {status}")
            }
            Self::Refused { status, message } => write!(f, "the cloud answers {status}: {message}"),
            Self::Unexpected(what) => f.write_str(what),
        }
    }
}

impl Client {
    /// Trusts the system's certificates, and those in `cacert`.
    pub fn new(cacert: Option<&Path>) -> Result<Self, OpenStackError> {
        // Those of the system that cannot be read are only missed if the cloud needs them.
        let system = rustls_native_certs::load_native_certs().certs;
        let mut trusted: Vec<Certificate<'static>> =
            system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        if let Some(path) = cacert {
            trusted.extend(certificates(path)?);
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&trusted))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("lkb/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // A token goes where the catalogue says, and nowhere else.
            .max_redirects(0)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE));
        Ok(Self { agent: config.build().into() })
    }

    /// Sends a request and reads the answer.
    pub fn send(&self, request: Request<impl AsSendBody>) -> Result<Answer, Trouble> {
        let response = self.agent.run(request).map_err(|error| Trouble::Unreachable(error.to_string()))?;
        answer(response)
    }
}

fn answer(response: Response<Body>) -> Result<Answer, Trouble> {
    let status = response.status();
    let token =
        response.headers().get("x-subject-token").and_then(|value| value.to_str().ok()).map(Secret::new);
    let mut bytes = Vec::new();
    let read = response.into_body().into_reader().take(MAX_ANSWER + 1).read_to_end(&mut bytes);
    read.map_err(|error| Trouble::Unreachable(format!("the answer broke off: {error}")))?;
    if bytes.len() as u64 > MAX_ANSWER {
        return Err(Trouble::Unexpected("the answer has more than 16 MiB".into()));
    }
    match status.is_success() {
        true => Ok(Answer { token, body: serde_json::from_slice(&bytes).unwrap_or_default() }),
        false => Err(Trouble::Refused { status: status.as_u16(), message: complaint(&bytes) }),
    }
}

/// What a service complains about: `{"KIND": {"message": …}}`, or a page for browsers.
fn complaint(bytes: &[u8]) -> String {
    let json = serde_json::from_slice::<Value>(bytes).ok();
    let message = json.as_ref().and_then(Value::as_object).and_then(|object| {
        object.values().find_map(|kind| kind.get("message").and_then(Value::as_str)).map(str::to_owned)
    });
    let text = message.unwrap_or_else(|| {
        let mut text = String::new();
        let mut tag = false;
        for c in String::from_utf8_lossy(bytes).chars() {
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
    });
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, OpenStackError> {
    let failed = |reason: String| OpenStackError::Certificates { path: path.to_owned(), reason };
    let mut pem = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_CERTIFICATES).read_to_end(&mut pem));
    read.map_err(|error| failed(error.to_string()))?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    if found.is_empty() { Err(failed("it has no certificate".into())) } else { Ok(found) }
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
