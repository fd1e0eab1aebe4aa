//! Requests, and where redirects may lead them.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ureq::http::{Method, Response, header};
use ureq::{Body, SendBody};

use super::error::{PullError, Reason};
use super::url::{Scheme, Url};
use crate::http::{self, Agents, Secret};
use crate::image::VerifiedFile;

/// How long the other side may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// How often one request may be sent elsewhere.
const MAX_REDIRECTS: u32 = 5;

/// Sends requests.
#[derive(Debug)]
pub(super) struct Client {
    agents: Agents,
}

/// What is asked for.
#[derive(Default)]
pub(super) struct Request<'a> {
    pub(super) accept: &'a str,
    /// The value of `Authorization`.
    pub(super) authorization: Option<&'a Secret>,
    /// Skips this many bytes.
    pub(super) offset: u64,
    /// A form that is sent, not a question.
    pub(super) form: Option<&'a Secret>,
    /// What is to be done.
    pub(super) method: Method,
    /// What is sent to be kept.
    pub(super) upload: Option<Upload<'a>>,
}

/// Bytes on their way to a registry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upload<'a> {
    /// Their `Content-Type`.
    pub(super) kind: &'a str,
    /// Where they begin in what is sent by and by.
    pub(super) begins: Option<u64>,
    pub(super) payload: Payload<'a>,
}

/// Bytes that can be read again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payload<'a> {
    Bytes(&'a [u8]),
    Stretch { file: &'a VerifiedFile, offset: u64, len: u64 },
}

impl Payload<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stretch { len, .. } => *len,
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may go better another time.
    Passing(String),
    /// The other side does not speak TLS.
    NotTls,
    /// It will not.
    Lasting(Reason),
}

impl Client {
    /// Trusts the system's certificates, and these.
    pub(super) fn new(certificates: &[PathBuf]) -> Result<Self, PullError> {
        let agents = Agents::new(certificates, SILENCE)
            .map_err(|error| PullError::Certificates { path: error.path, reason: error.reason })?;
        Ok(Self { agents })
    }

    /// Asks, and follows redirects: never from `https` to `http`, and with the authorization only as long as they
    /// stay with the same host.
    pub(super) fn send(&self, url: &Url, request: &Request<'_>) -> Result<Response<Body>, Failure> {
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let authorization = request.authorization.filter(|_| at.same_origin(url));
            let response = self.send_once(&at, request, authorization).map_err(classify)?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let refuse = |reason: String| Failure::Lasting(Reason::Redirect(reason));
            if request.form.is_some() {
                return Err(refuse("a login is not sent on".into()));
            }
            if !matches!(request.method, Method::GET | Method::HEAD) {
                return Err(refuse("an upload is not sent on".into()));
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let location = location.ok_or_else(|| refuse("it does not say where to".into()))?;
            let next = at.join(location).map_err(|error| refuse(format!("as to the address, {error}")))?;
            if at.scheme() == Scheme::Https && next.scheme() == Scheme::Http {
                return Err(refuse(format!("{next} is not encrypted")));
            }
            at = next;
        }
        Err(Failure::Lasting(Reason::Redirect(format!("there are more than {MAX_REDIRECTS} redirects"))))
    }

    fn send_once(
        &self,
        url: &Url,
        request: &Request<'_>,
        authorization: Option<&Secret>,
    ) -> Result<Response<Body>, ureq::Error> {
        let agent = self.agents.to(url.authority());
        if let Some(form) = request.form {
            let post = agent.post(url.text()).header(header::ACCEPT, request.accept);
            return post.content_type("application/x-www-form-urlencoded").send(form.reveal());
        }
        let mut question = ureq::http::Request::builder().method(&request.method).uri(url.text());
        if !request.accept.is_empty() {
            question = question.header(header::ACCEPT, request.accept);
        }
        if request.offset > 0 {
            question = question.header(header::RANGE, format!("bytes={}-", request.offset));
        }
        if let Some(authorization) = authorization {
            question = question.header(header::AUTHORIZATION, authorization.reveal());
        }
        let Some(Upload { kind, begins, payload }) = request.upload else {
            return match request.method {
                Method::GET | Method::HEAD => agent.run(question.body(())?),
                // Says that nothing follows.
                _ => agent.run(question.body(&b""[..])?),
            };
        };
        question = question.header(header::CONTENT_TYPE, kind).header(header::CONTENT_LENGTH, payload.len());
        if let Some(begins) = begins {
            let last = (begins + payload.len()).saturating_sub(1);
            question = question.header(header::CONTENT_RANGE, format!("{begins}-{last}"));
        }
        match payload {
            Payload::Bytes(bytes) => agent.run(question.body(bytes)?),
            Payload::Stretch { file, offset, len } => {
                agent.run(question.body(SendBody::from_reader(&mut file.stretch(offset, len)))?)
            }
        }
    }
}

/// What an error means for what comes next.
fn classify(error: ureq::Error) -> Failure {
    http::Failure::of(&error, SILENCE).into()
}

/// The same for errors in the middle of a body.
pub(super) fn classify_io(error: &io::Error) -> Failure {
    http::Failure::of_io(error, SILENCE).into()
}

impl From<http::Failure> for Failure {
    fn from(failure: http::Failure) -> Self {
        match failure {
            http::Failure::Unsent(reason) | http::Failure::Passing(reason) => Self::Passing(reason),
            http::Failure::NotTls => Self::NotTls,
            http::Failure::Untrusted(reason) => Self::Lasting(Reason::Untrusted(reason)),
            http::Failure::Lasting(reason) => Self::Lasting(Reason::Unreachable(reason)),
        }
    }
}

impl Failure {
    /// Why, when nothing better can be done about it.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Passing(reason) => Reason::Unreachable(reason),
            Self::NotTls => Reason::Unreachable("it does not speak TLS".into()),
            Self::Lasting(reason) => reason,
        }
    }
}
