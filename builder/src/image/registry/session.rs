//! One repository at one endpoint: questions, and the authorization that they need.

use std::fmt;
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ureq::Body;
use ureq::http::{Method, Response, header};

use super::authorizations::Authorizations;
use super::challenge::{Challenge, challenges};
use super::client::{Client, Failure, Request, classify_io};
use super::error::Reason;
use super::keychain::{Credentials, Keychain};
use super::meter::Meter;
use super::mirror::Endpoint;
use super::token;
use super::url::Url;
use crate::http::Secret;
use crate::http::retry::{Attempts, passes, retry_after};
use crate::image::limits::MAX_DOCUMENT;

/// How much of an error's text is read, in bytes.
const MAX_COMPLAINT: u64 = 8 << 10;
/// How much of it is shown, in characters.
const SHOWN: usize = 200;

/// A document, unverified.
pub(super) struct Answer {
    /// Its `Content-Type`.
    pub(super) kind: Option<String>,
    /// The digest that the registry says it has.
    pub(super) digest: Option<String>,
    pub(super) bytes: Vec<u8>,
}

/// What somebody wants with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To read it.
    Pull,
    /// To write to it.
    Push,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pull => "pull",
            Self::Push => "push",
        })
    }
}

/// One repository at one endpoint. Threads may share it.
pub(super) struct Session<'a> {
    pub(super) client: &'a Client,
    pub(super) keychain: &'a Keychain,
    pub(super) base: Url,
    pub(super) repository: &'a str,
    /// What the session is for.
    pub(super) purpose: Purpose,
    /// Other repositories of the registry that are read in it.
    pub(super) sources: Vec<String>,
    pub(super) meter: Meter<'a>,
    /// What the registry wanted to see last time.
    authorization: Mutex<Option<Secret>>,
    /// The same for the next who reads there.
    known: &'a Authorizations,
}

impl<'a> Session<'a> {
    /// Finds out how the endpoint is spoken to.
    pub(super) fn open(
        client: &'a Client,
        keychain: &'a Keychain,
        endpoint: &Endpoint,
        repository: &'a str,
        meter: Meter<'a>,
        known: &'a Authorizations,
    ) -> Self {
        let base = match endpoint {
            Endpoint::At(url) => url.clone(),
            Endpoint::Loopback { https, http } => match client.send(&https.at("/v2/"), &Request::default()) {
                Err(Failure::NotTls) => http.clone(),
                // Some servers hang up on what they do not understand. Nothing has been sent but a greeting.
                Err(Failure::Passing(_)) if client.send(&http.at("/v2/"), &Request::default()).is_ok() => {
                    http.clone()
                }
                _ => https.clone(),
            },
        };
        Self {
            client,
            keychain,
            repository,
            purpose: Purpose::Pull,
            sources: Vec::new(),
            meter,
            authorization: Mutex::new(known.last(&base.to_string(), repository)),
            known,
            base,
        }
    }

    /// The same for pushing, by mounting blobs of these other repositories where they have them.
    pub(super) fn for_push(self, sources: Vec<String>) -> Self {
        Self { purpose: Purpose::Push, sources, authorization: Mutex::default(), ..self }
    }

    /// An address in the repository.
    pub(super) fn at(&self, what: &str) -> Url {
        self.base.at(&format!("/v2/{}/{what}", self.repository))
    }

    /// Asks for `/v2/REPOSITORY/WHAT`, a document, until there is an answer or no hope.
    pub(super) fn document(&self, what: &str, accept: &str) -> Result<Answer, Reason> {
        let mut attempts = Attempts::default();
        loop {
            match self.document_once(what, accept) {
                Err(trouble) if self.waits(&mut attempts, &trouble) => {}
                answer => return answer.map_err(|trouble| trouble.reason),
            }
        }
    }

    /// Tells what takes time.
    pub(super) fn say(&self, what: &str) {
        self.meter.note(what);
    }

    /// Waits, and says so, if there is hope; says whether there was.
    pub(super) fn waits(&self, attempts: &mut Attempts, trouble: &Trouble) -> bool {
        let Some(pause) = trouble.passing.and_then(|asked| attempts.pause(asked)) else { return false };
        let seconds = pause.as_millis().div_ceil(1000);
        self.meter.note(&format!("{} {}; asking again in {seconds} s", self.base, trouble.reason));
        thread::sleep(pause);
        true
    }

    fn document_once(&self, what: &str, accept: &str) -> Result<Answer, Trouble> {
        let response = self.get_once(what, accept, 0)?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (kind, digest) = (header("content-type"), header("docker-content-digest"));
        let mut bytes = Vec::new();
        let body = response.into_body().into_reader();
        body.take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Trouble::from(classify_io(&error)))?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            let reason = format!("it has more than {MAX_DOCUMENT} bytes");
            return Err(Reason::Document { what: "manifest", reason }.into());
        }
        Ok(Answer { kind, digest, bytes })
    }

    /// Asks for `/v2/REPOSITORY/WHAT` once, from this byte on. The status is 200 or 206.
    pub(super) fn get_once(&self, what: &str, accept: &str, offset: u64) -> Result<Response<Body>, Trouble> {
        self.exchange(&self.at(what), Request { accept, offset, ..Request::default() }, &[200, 206])
    }

    /// Sends a request once, with the authorization that the registry wants. The status is one of these.
    pub(super) fn exchange(
        &self,
        url: &Url,
        request: Request<'_>,
        wanted: &[u16],
    ) -> Result<Response<Body>, Trouble> {
        let mut renewed = false;
        loop {
            let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // Uploads may go to another host, which has no business with it.
            let authorization = authorization.filter(|_| url.same_origin(&self.base));
            let request =
                Request { authorization: authorization.as_ref(), method: request.method.clone(), ..request };
            let response = self.client.send(url, &request)?;
            match response.status().as_u16() {
                status if wanted.contains(&status) => return Ok(response),
                401 if !renewed && url.same_origin(&self.base) => {
                    // Tokens may also expire in the middle of an image.
                    renewed = true;
                    let new = self.authorize(&response)?;
                    if self.purpose == Purpose::Pull {
                        self.known.note(&self.base.to_string(), self.repository, new.clone());
                    }
                    *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
                }
                401 | 403 => return Err(self.denied()?.into()),
                404 if self.purpose == Purpose::Pull || request.method == Method::GET => {
                    return Err(Reason::NotFound.into());
                }
                _ => return Err(refused(response)),
            }
        }
    }

    /// What `Authorization` must be for what a registry has answered with 401.
    fn authorize(&self, response: &Response<Body>) -> Result<Secret, Trouble> {
        let headers = response.headers().get_all(header::WWW_AUTHENTICATE);
        let offered: Vec<Challenge> =
            headers.iter().filter_map(|value| value.to_str().ok()).flat_map(challenges).collect();
        let credentials = self.keychain.look_up(self.base.authority()).map_err(Reason::from)?;
        if let Some(bearer) = offered.iter().find(|challenge| challenge.scheme == "bearer") {
            return match credentials {
                Some(Credentials::Bearer(token)) => Ok(token::bearer(&token)),
                credentials => token::fetch(self, bearer, credentials.as_ref()),
            };
        }
        if offered.iter().any(|challenge| challenge.scheme == "basic") {
            return match &credentials {
                Some(Credentials::Password { user, password }) => Ok(token::basic(user, password)),
                Some(_) => {
                    Err(Reason::Challenge("it wants a password, and there is only a token".into()).into())
                }
                None => Err(self.denied()?.into()),
            };
        }
        let names: Vec<&str> = offered.iter().map(|challenge| challenge.scheme.as_str()).collect();
        let names = if names.is_empty() {
            "it proposes none".into()
        } else {
            format!("it proposes {}", names.join(", "))
        };
        Err(Reason::Challenge(names).into())
    }

    /// Why somebody who has shown what he has gets nothing.
    pub(super) fn denied(&self) -> Result<Reason, Reason> {
        let host = match self.base.authority() {
            "registry-1.docker.io" => "docker.io".to_owned(),
            authority => authority.to_owned(),
        };
        let config = self.keychain.place();
        Ok(match self.keychain.look_up(self.base.authority())? {
            Some(_) => Reason::Denied { host, config, purpose: self.purpose },
            None if self.purpose == Purpose::Push => Reason::Closed { host, config },
            None => Reason::Login { host, config },
        })
    }
}

/// Why there is no answer this time.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) reason: Reason,
    /// Whether another time may go better, and the pause that the registry asks for.
    pub(super) passing: Option<Option<Duration>>,
}

impl From<Reason> for Trouble {
    fn from(reason: Reason) -> Self {
        Self { reason, passing: None }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let passing = matches!(failure, Failure::Passing(_)).then_some(None);
        Self { reason: failure.reason(), passing }
    }
}

/// Another status than those that say yes or who is there.
pub(super) fn refused(response: Response<Body>) -> Trouble {
    let status = response.status().as_u16();
    let pause = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let pause = pause.and_then(retry_after);
    let reason = match status {
        429 => Reason::Busy(
            pause.map_or_else(String::new, |pause| format!(" and asks to wait {} seconds", pause.as_secs())),
        ),
        status => Reason::Status { status, message: complaint(response) },
    };
    Trouble { reason, passing: passes(status).then_some(pause) }
}

/// What a registry says about an error (OCI distribution-spec, "Error Codes"), fit to be shown.
fn complaint(response: Response<Body>) -> String {
    let mut text = Vec::new();
    // Half of a complaint, or none, is no reason to hide the status.
    let _cut = response.into_body().into_reader().take(MAX_COMPLAINT).read_to_end(&mut text);
    let errors: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let message = errors["errors"][0]["message"].as_str().or(errors["errors"][0]["code"].as_str());
    let shown: String = message.unwrap_or_default().chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if shown.is_empty() { shown } else { format!(": {shown}") }
}
