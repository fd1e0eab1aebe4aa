//! A cloud that we are logged in to.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use ureq::http::Method;

use super::key::{self, Key};
use super::token;
use super::{GcpError, advice};
use crate::http::{Answer, Body, Client, Request, Secret, Token, Trouble, encoded, is_safe, origin};

/// How long the other side may say nothing.
const SILENCE: Duration = Duration::from_secs(120);
const COMPUTE: &str = "https://compute.googleapis.com/compute/v1";
const STORAGE: &str = "https://storage.googleapis.com";

/// Who asks, for which project, and where.
#[derive(Debug)]
pub struct Login {
    key: Key,
    project: String,
    compute: String,
    storage: String,
    certificates: Vec<PathBuf>,
}

impl Login {
    /// From a named file with a key and a named project, or what the environment has instead. gcloud's own variables
    /// say where another cloud than Google's is.
    ///
    /// # Errors
    /// When there is no key, or no project.
    pub fn new(
        keys: Option<PathBuf>,
        project: Option<String>,
        certificates: &[PathBuf],
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, GcpError> {
        let key = Key::read(&key::find(keys, variable)?, variable)?;
        let project = project.or_else(|| variable("CLOUDSDK_CORE_PROJECT"));
        let project = project.or_else(|| key.project().map(str::to_owned)).ok_or(GcpError::NoProject)?;
        let place = |name: &'static str, usual: &str| {
            let url = variable(name).unwrap_or_else(|| usual.to_owned());
            match is_safe(&url) {
                true => Ok(url.trim_end_matches('/').to_owned()),
                false => Err(GcpError::Address { name, value: url }),
            }
        };
        Ok(Self {
            key,
            project,
            compute: place("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", COMPUTE)?,
            storage: origin(&place("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", STORAGE)?).to_owned(),
            certificates: certificates.to_vec(),
        })
    }
}

/// A cloud that we are logged in to.
pub struct Cloud {
    login: Login,
    client: Client,
    token: RefCell<Token>,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud").field("project", &self.login.project).finish_non_exhaustive()
    }
}

impl Cloud {
    /// Logs in.
    ///
    /// # Errors
    /// When the cloud does not answer, or does not know us.
    pub fn log_in(login: Login) -> Result<Self, GcpError> {
        let client = Client::new(&login.certificates, SILENCE)
            .map_err(|error| GcpError::Certificates(error.to_string()))?;
        let token = RefCell::new(token::fetch(&client, &login.key, now())?);
        Ok(Self { login, client, token })
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.login.project
    }

    /// Asks Compute Engine about something that is there: `path` is beneath the project, `action` what an error says
    /// could not be done.
    pub(crate) fn get(&self, path: &str, action: &str) -> Result<Value, GcpError> {
        self.compute(Method::GET, path, None, action)
    }

    /// The same for what may not be there.
    pub(crate) fn find(&self, path: &str, action: &str) -> Result<Option<Value>, GcpError> {
        absent(self.get(path, action))
    }

    /// Has Compute Engine make something, and returns the operation that does it.
    pub(crate) fn insert(&self, path: &str, body: &Value, action: &str) -> Result<Value, GcpError> {
        self.compute(Method::POST, path, Some(body), action)
    }

    /// Has Compute Engine delete something; `None` when it is not there.
    pub(crate) fn delete(&self, path: &str, action: &str) -> Result<Option<Value>, GcpError> {
        absent(self.compute(Method::DELETE, path, None, action))
    }

    fn compute(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        action: &str,
    ) -> Result<Value, GcpError> {
        let mut url = format!("{}/projects/{}/{path}", self.login.compute, encoded(&self.login.project));
        if method != Method::GET {
            // By this the cloud knows a question that comes twice.
            url += &format!("?requestId={}", uuid());
        }
        let bearer = self.bearer()?;
        let question = || {
            let question =
                Request::new(method.clone(), &url).secret("authorization", bearer.clone()).repeatable();
            match body {
                Some(body) => question.body("application/json", Body::Bytes(body.to_string().into_bytes())),
                None => question,
            }
        };
        let answer = self.client.send(&question).map_err(|trouble| self.failed(action, trouble))?;
        let answer = self.accepted(answer, action)?;
        answer.json().map_err(|trouble| self.failed(action, trouble))
    }

    /// Sends a question to Cloud Storage, again if that may help.
    pub(super) fn storage<'a>(
        &self,
        question: &dyn Fn() -> Request<'a>,
        action: &str,
    ) -> Result<Answer, GcpError> {
        let bearer = self.bearer()?;
        let question = || question().secret("authorization", bearer.clone());
        self.client.send(&question).map_err(|trouble| self.failed(action, trouble))
    }

    /// Sends a question to Cloud Storage once.
    pub(super) fn storage_once(&self, question: Request<'_>) -> Result<Result<Answer, Trouble>, GcpError> {
        Ok(self.client.once(question.secret("authorization", self.bearer()?)))
    }

    /// Where Cloud Storage is: scheme and host.
    pub(super) fn storage_url(&self) -> &str {
        &self.login.storage
    }

    /// The answer if it says yes, else an error that says what to do.
    pub(super) fn accepted(&self, answer: Answer, action: &str) -> Result<Answer, GcpError> {
        let advice = advice::of_answer(answer.status, &answer.body, self.login.key.who(), self.project());
        answer.ok().map_err(|trouble| GcpError::Request { action: action.to_owned(), trouble, advice })
    }

    pub(super) fn failed(&self, action: &str, trouble: Trouble) -> GcpError {
        GcpError::Request { action: action.to_owned(), trouble, advice: String::new() }
    }

    fn bearer(&self) -> Result<Secret, GcpError> {
        if !self.token.borrow().lasts() {
            let token = token::fetch(&self.client, &self.login.key, now())?;
            self.token.replace(token);
        }
        Ok(self.token.borrow().bearer.clone())
    }
}

fn absent(answer: Result<Value, GcpError>) -> Result<Option<Value>, GcpError> {
    match answer {
        Err(GcpError::Request { trouble: Trouble::Refused { status: 404, .. }, .. }) => Ok(None),
        answer => answer.map(Some),
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

/// A random one (RFC 9562, section 5.4).
fn uuid() -> String {
    let mut bytes = [0; 16];
    // Without random numbers, no TLS would have come so far; and equal names are refused, not mixed up.
    if SystemRandom::new().fill(&mut bytes).is_err() {
        bytes[8..].copy_from_slice(&now().to_be_bytes());
    }
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_has_a_name_of_its_own() {
        let (one, other) = (uuid(), uuid());
        assert_ne!(one, other);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(&one[14..15], "4");
    }
}
