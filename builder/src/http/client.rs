//! Requests and bounded answers, for clouds.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::{HeaderMap, Uri, header};
use ureq::{AsSendBody, SendBody};

use super::agent::{Agents, CertificateError};
use super::complaint::complaint;
use super::failure::Failure;
use super::request::{Body, Part, Request};
use super::retry::{Attempts, passes, retry_after};

/// Largest answer, in bytes.
const MAX_ANSWER: u64 = 16 << 20;

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Client {
    agents: Agents,
    silence: Duration,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// HTTP's status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
    headers: HeaderMap,
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
    /// Trusts the system's certificates, and those in these files. The other side may say nothing for as long as
    /// `silence`.
    pub(crate) fn new(certificates: &[PathBuf], silence: Duration) -> Result<Self, CertificateError> {
        Ok(Self { agents: Agents::new(certificates, silence)?, silence })
    }

    /// Sends a request once, and reads the answer, whatever its status.
    pub(crate) fn once(&self, request: Request<'_>) -> Result<Answer, Trouble> {
        self.exchange(request)?.map_err(trouble)
    }

    /// Sends a request, and again what `request` makes anew as long as an answer may get better by that: when the other
    /// side is too busy or nothing was sent yet, and for what may be repeated also when it fails or hangs up.
    pub(crate) fn send<'a>(&self, request: &dyn Fn() -> Request<'a>) -> Result<Answer, Trouble> {
        let mut attempts = Attempts::default();
        loop {
            let request = request();
            let repeatable = request.repeatable;
            let result = self.exchange(request)?;
            let hope = match &result {
                // These say that nothing was done.
                Ok(answer) if matches!(answer.status, 429 | 503) => Some(answer.retry_after()),
                Ok(answer) if repeatable && passes(answer.status) => Some(answer.retry_after()),
                Err(Failure::Unsent(_)) => Some(None),
                Err(Failure::Passing(_)) if repeatable => Some(None),
                _ => None,
            };
            match hope.and_then(|asked| attempts.pause(asked)) {
                Some(pause) => thread::sleep(pause),
                None => return result.map_err(trouble),
            }
        }
    }

    /// The outer error is one of the request itself.
    fn exchange(&self, request: Request<'_>) -> Result<Result<Answer, Failure>, Trouble> {
        let Request { method, url, headers, body, within, .. } = request;
        let unusable =
            |reason: &dyn fmt::Display| Trouble::Unexpected(format!("{url} cannot be asked: {reason}"));
        let uri: Uri = url.parse().map_err(|error| unusable(&error))?;
        let authority = uri
            .authority()
            .filter(|_| uri.scheme().is_some())
            .map(ToString::to_string)
            .ok_or_else(|| unusable(&"it is not of the form https://HOST/…"))?;
        let mut question = ureq::http::Request::builder().method(method.clone()).uri(uri);
        for (name, value) in &headers {
            question = question.header(*name, value.reveal());
        }
        let sent = match body {
            Body::None if matches!(method.as_str(), "GET" | "HEAD" | "DELETE") => {
                self.run(&authority, question.body(()), within)
            }
            // Says that nothing follows.
            Body::None => self.run(&authority, question.body(Vec::new()), within),
            Body::Bytes(bytes) => self.run(&authority, question.body(bytes), within),
            Body::Stretch { file, offset, len, sent } => {
                let mut part = Part { file, at: offset, left: len, read: 0, sent };
                let question = question.header(header::CONTENT_LENGTH, len);
                self.run(&authority, question.body(SendBody::from_reader(&mut part)), within)
            }
            Body::Once { mut reader, len } => {
                let question = question.header(header::CONTENT_LENGTH, len);
                self.run(&authority, question.body(SendBody::from_reader(&mut reader)), within)
            }
        };
        sent.map_err(|error| unusable(&error))
    }

    fn run(
        &self,
        authority: &str,
        question: Result<ureq::http::Request<impl AsSendBody>, ureq::http::Error>,
        within: Option<Duration>,
    ) -> Result<Result<Answer, Failure>, ureq::http::Error> {
        let agent = self.agents.to(authority);
        let question = agent.configure_request(question?).timeout_global(within).build();
        Ok(agent.run(question).map_err(|error| Failure::of(&error, self.silence)).and_then(|response| {
            let (parts, body) = response.into_parts();
            let mut bytes = Vec::new();
            let read = body.into_reader().take(MAX_ANSWER + 1).read_to_end(&mut bytes);
            read.map_err(|error| match Failure::of_io(&error, self.silence) {
                Failure::Passing(reason) => Failure::Passing(format!("the answer broke off: {reason}")),
                failure => failure,
            })?;
            if bytes.len() as u64 > MAX_ANSWER {
                return Err(Failure::Lasting(format!("the answer has more than {MAX_ANSWER} bytes")));
            }
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: bytes })
        }))
    }
}

fn trouble(failure: Failure) -> Trouble {
    match failure {
        Failure::Unsent(reason) | Failure::Passing(reason) | Failure::Lasting(reason) => {
            Trouble::Unreachable(reason)
        }
        Failure::NotTls => Trouble::Unreachable("the other side does not speak TLS".into()),
        Failure::Untrusted(reason) => {
            Trouble::Unreachable(format!("the other side's certificate is not trusted: {reason}"))
        }
    }
}

impl Answer {
    /// A header that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Itself if it says yes, else what it complains about.
    pub(crate) fn ok(self) -> Result<Self, Trouble> {
        match self.status {
            200..=299 => Ok(self),
            status => Err(Trouble::Refused { status, message: complaint(&self.body) }),
        }
    }

    /// Its body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Trouble::Unexpected(format!("the answer is not as documented: {error}")))
    }

    fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after").and_then(retry_after)
    }
}
