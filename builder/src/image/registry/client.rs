//! HTTP: connections, certificates, time-outs, redirects.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{Method, Response, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};

use super::error::{PullError, Reason};
use super::secret::Secret;
use super::url::{Scheme, Url};
use crate::image::VerifiedFile;

/// How long a name may take to be looked up, and a connection, TLS included, to come about.
const CONNECT: Duration = Duration::from_secs(20);
/// How long the other side may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// How often one request may be sent elsewhere.
const MAX_REDIRECTS: u32 = 5;
/// Largest file of certificates, in bytes.
const MAX_CERTIFICATES: u64 = 16 << 20;

/// Sends requests.
pub(super) struct Client {
    agent: Agent,
    /// Without the proxy that the environment may name: nothing beyond this machine is asked.
    direct: Agent,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
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
        // Those of the system that cannot be read are only missed if a registry needs them.
        let mut trusted: Vec<Certificate<'static>> = rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .collect();
        for path in certificates {
            trusted.extend(read_certificates(path)?);
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&trusted))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = || {
            Agent::config_builder()
                .tls_config(tls.clone())
                .user_agent(concat!("lkb/", env!("CARGO_PKG_VERSION")))
                .http_status_as_error(false)
                // Redirects are followed here, where it is known what they may not do.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_resolve(Some(CONNECT))
                .timeout_connect(Some(CONNECT))
                .timeout_per_read(Some(SILENCE))
                .timeout_per_write(Some(SILENCE))
        };
        Ok(Self { agent: config().build().into(), direct: config().proxy(None).build().into() })
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
        let agent = if url.is_loopback() { &self.direct } else { &self.agent };
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

fn read_certificates(path: &Path) -> Result<Vec<Certificate<'static>>, PullError> {
    let failed = |reason: String| PullError::Certificates { path: path.to_owned(), reason };
    let mut pem = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_CERTIFICATES).read_to_end(&mut pem))
        .map_err(|error| failed(error.to_string()))?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    if found.is_empty() {
        return Err(failed("it has no certificate".into()));
    }
    Ok(found)
}

/// What an error means for what comes next.
pub(super) fn classify(error: ureq::Error) -> Failure {
    match error {
        ureq::Error::Rustls(error) => classify_tls(&error),
        ureq::Error::Io(error) => classify_io(&error),
        ureq::Error::Timeout(which) => Failure::Passing(timed_out(which)),
        error => Failure::Lasting(Reason::Unreachable(error.to_string())),
    }
}

/// The same for errors in the middle of a body.
pub(super) fn classify_io(error: &io::Error) -> Failure {
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return classify_tls(tls);
    }
    if let Some(ureq::Error::Timeout(which)) = inner.and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        return Failure::Passing(timed_out(*which));
    }
    let passes = matches!(
        error.kind(),
        io::ErrorKind::TimedOut
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    );
    match passes {
        true => Failure::Passing(error.to_string()),
        false => Failure::Lasting(Reason::Unreachable(error.to_string())),
    }
}

fn timed_out(which: ureq::Timeout) -> String {
    match which {
        ureq::Timeout::Resolve => format!("its name was not found within {} seconds", CONNECT.as_secs()),
        ureq::Timeout::Connect => format!("there was no connection within {} seconds", CONNECT.as_secs()),
        _ => format!("it said nothing for {} seconds", SILENCE.as_secs()),
    }
}

fn classify_tls(error: &rustls::Error) -> Failure {
    match error {
        rustls::Error::InvalidMessage(_) => Failure::NotTls,
        rustls::Error::InvalidCertificate(_) => Failure::Lasting(Reason::Untrusted(error.to_string())),
        error => Failure::Lasting(Reason::Unreachable(error.to_string())),
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
