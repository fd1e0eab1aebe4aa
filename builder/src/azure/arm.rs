//! Resource Manager: what is there, what is made and deleted, and waiting for it.
//!
//! Source: "Track asynchronous Azure operations": a question that takes its time answers where its status is to be had,
//! in `Azure-AsyncOperation` or `Location`; what it makes says `provisioningState`.

use std::cell::RefCell;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::Method;

use super::login::Login;
use super::{AzureError, advice};
use crate::http::retry::retry_after;
use crate::http::{Answer, Body, Client, Request, Token, Trouble, encoded, origin};

/// How long the other side may say nothing.
const SILENCE: Duration = Duration::from_secs(120);
/// How often something is looked at that does not say how often.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked at, at most and at least, whatever it says.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];

/// The path of something in a resource group.
#[must_use]
pub fn group(name: &str, rest: &str) -> String {
    let slash = if rest.is_empty() { "" } else { "/" };
    format!("resourceGroups/{}{slash}{rest}", encoded(name))
}

/// A subscription that we are logged in to.
pub struct Arm {
    login: Login,
    pub(super) client: Client,
    token: RefCell<Token>,
}

impl fmt::Debug for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arm").field("subscription", &self.login.subscription).finish_non_exhaustive()
    }
}

/// How long something may take, and what an error says could not be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task<'a> {
    /// How long it may take.
    pub(crate) patience: Duration,
    /// What is to be done.
    pub(crate) action: &'a str,
}

impl Arm {
    /// Logs in.
    ///
    /// # Errors
    /// When Azure does not answer, or does not know us.
    pub fn log_in(login: Login) -> Result<Self, AzureError> {
        let client = Client::new(&login.certificates, SILENCE)
            .map_err(|error| AzureError::Certificates(error.to_string()))?;
        let token = RefCell::new(login.token(&client)?);
        Ok(Self { login, client, token })
    }

    /// The full name of something beneath the subscription.
    pub(crate) fn id(&self, path: &str) -> String {
        format!("/subscriptions/{}/{path}", encoded(&self.login.subscription))
    }

    /// What is there; `None` when it is not. A query may follow the path.
    pub(crate) fn find(&self, path: &str, version: &str, action: &str) -> Result<Option<Value>, AzureError> {
        let answer = self.ask(Method::GET, &self.url(path, version), None, action)?;
        match (answer.status, code(&answer).as_str()) {
            (404, "ResourceNotFound" | "NotFound" | "ResourceGroupNotFound") => Ok(None),
            _ => self.json(answer, action).map(Some),
        }
    }

    /// Asks for something that is done at once.
    pub(crate) fn post(&self, path: &str, version: &str, action: &str) -> Result<Value, AzureError> {
        let answer = self.ask(Method::POST, &self.url(path, version), None, action)?;
        self.json(answer, action)
    }

    /// Makes something, and returns it when it is there.
    pub(crate) fn make(
        &self,
        path: &str,
        version: &str,
        body: &Value,
        task: Task<'_>,
    ) -> Result<Value, AzureError> {
        let deadline = Instant::now() + task.patience;
        let answer = self.begin(path, version, body, task.action)?;
        let mut made = match self.wait(&answer, deadline, task)? {
            true => self.look(path, version, task.action)?,
            false if answer.status == 202 => self.look(path, version, task.action)?,
            false => self.json(answer, task.action)?,
        };
        loop {
            match made["properties"]["provisioningState"].as_str() {
                None | Some("Succeeded") => return Ok(made),
                Some(status @ ("Failed" | "Canceled")) => return Err(failed(&made["error"], status, task)),
                Some(status) => pause(None, status, deadline, task)?,
            }
            made = self.look(path, version, task.action)?;
        }
    }

    /// Begins to make something, and does not wait for it.
    pub(crate) fn begin(
        &self,
        path: &str,
        version: &str,
        body: &Value,
        action: &str,
    ) -> Result<Answer, AzureError> {
        self.accepted(self.ask(Method::PUT, &self.url(path, version), Some(body), action)?, action)
    }

    /// Deletes something, and returns when it is gone; false when there is none.
    pub(crate) fn delete(&self, path: &str, version: &str, task: Task<'_>) -> Result<bool, AzureError> {
        let answer = self.ask(Method::DELETE, &self.url(path, version), None, task.action)?;
        match answer.status {
            204 | 404 => Ok(false),
            _ => {
                let answer = self.accepted(answer, task.action)?;
                self.wait(&answer, Instant::now() + task.patience, task).map(|_| true)
            }
        }
    }

    /// Waits for what an answer says is not done yet; false when it says nothing like that.
    fn wait(&self, answer: &Answer, deadline: Instant, task: Task<'_>) -> Result<bool, AzureError> {
        let ours = |name| answer.header(name).filter(|url| origin(url) == origin(&self.login.management));
        if let Some(url) = ours("azure-asyncoperation") {
            loop {
                let looked = self.accepted(self.ask(Method::GET, url, None, task.action)?, task.action)?;
                let asked = looked.header("retry-after").and_then(retry_after);
                let operation = self.json(looked, task.action)?;
                match operation["status"].as_str() {
                    Some("Succeeded") => return Ok(true),
                    Some(status @ ("Failed" | "Canceled")) => {
                        return Err(failed(&operation["error"], status, task));
                    }
                    status => pause(asked, status.unwrap_or("without a status"), deadline, task)?,
                }
            }
        }
        let Some(url) = ours("location").filter(|_| answer.status == 202) else { return Ok(false) };
        loop {
            let looked = self.accepted(self.ask(Method::GET, url, None, task.action)?, task.action)?;
            if looked.status != 202 {
                return Ok(true);
            }
            pause(looked.header("retry-after").and_then(retry_after), "being worked on", deadline, task)?;
        }
    }

    fn look(&self, path: &str, version: &str, action: &str) -> Result<Value, AzureError> {
        let answer = self.ask(Method::GET, &self.url(path, version), None, action)?;
        self.json(answer, action)
    }

    fn url(&self, path: &str, version: &str) -> String {
        let and = if path.contains('?') { '&' } else { '?' };
        format!("{}{}{and}api-version={version}", self.login.management, self.id(path))
    }

    /// Sends a question, again if that may help: what is made here is made by its name, so twice is once.
    fn ask(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
        action: &str,
    ) -> Result<Answer, AzureError> {
        if !self.token.borrow().lasts() {
            let token = self.login.token(&self.client)?;
            self.token.replace(token);
        }
        let bearer = self.token.borrow().bearer.clone();
        let question = || {
            let question =
                Request::new(method.clone(), url).secret("authorization", bearer.clone()).repeatable();
            match body {
                Some(body) => question.body("application/json", Body::Bytes(body.to_string().into_bytes())),
                None => question,
            }
        };
        self.client.send(&question).map_err(|trouble| request(action, trouble))
    }

    fn json(&self, answer: Answer, action: &str) -> Result<Value, AzureError> {
        let answer = self.accepted(answer, action)?;
        answer.json().map_err(|trouble| request(action, trouble))
    }

    /// The answer if it says yes, else an error that says what to do.
    fn accepted(&self, answer: Answer, action: &str) -> Result<Answer, AzureError> {
        accepted(answer, action)
    }
}

/// The answer if it says yes, else an error that says what to do.
pub(super) fn accepted(answer: Answer, action: &str) -> Result<Answer, AzureError> {
    let code = code(&answer);
    answer.ok().map_err(|trouble| match trouble {
        Trouble::Refused { status, message } => {
            let advice = advice::of_error(&code, &message);
            let told = code.is_empty() || message.contains(&code);
            let message = if told { message } else { format!("{code}: {message}") };
            AzureError::Request {
                action: action.to_owned(),
                trouble: Trouble::Refused { status, message },
                advice,
            }
        }
        trouble => request(action, trouble),
    })
}

pub(super) fn request(action: &str, trouble: Trouble) -> AzureError {
    AzureError::Request { action: action.to_owned(), trouble, advice: "" }
}

/// The code of an error: Blob Storage's is in a header, Resource Manager's in the body.
fn code(answer: &Answer) -> String {
    let own = || answer.json::<Value>().ok()?["error"]["code"].as_str().map(str::to_owned);
    answer.header("x-ms-error-code").map(str::to_owned).or_else(own).unwrap_or_default()
}

/// Something that was begun and failed; Azure puts what counts into details.
fn failed(error: &Value, status: &str, task: Task<'_>) -> AzureError {
    let text = |error: &Value, member: &str| error[member].as_str().unwrap_or_default().to_owned();
    let inner = error["details"].as_array().and_then(|details| details.first()).unwrap_or(error);
    let code = text(inner, "code");
    let message = match (text(error, "message"), text(inner, "message")) {
        (outer, _) if outer.is_empty() => status.to_owned(),
        (outer, inner) if inner == outer || inner.is_empty() => format!("{}: {outer}", text(error, "code")),
        (outer, inner) => format!("{}: {outer} {code}: {inner}", text(error, "code")),
    };
    let advice = advice::of_error(&code, &message);
    AzureError::Failed { action: task.action.to_owned(), message, advice }
}

fn pause(asked: Option<Duration>, status: &str, deadline: Instant, task: Task<'_>) -> Result<(), AzureError> {
    if Instant::now() >= deadline {
        let (action, status) = (task.action.to_owned(), status.to_owned());
        return Err(AzureError::Late { action, status, patience: task.patience });
    }
    thread::sleep(asked.unwrap_or(PAUSE).clamp(PAUSES[0], PAUSES[1]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_failure_says_what_lies_beneath_it() {
        let task = Task { patience: PAUSE, action: "make it" };
        for (error, says) in [
            (json!(null), "cannot make it: Azure says Failed"),
            (json!({ "code": "A", "message": "a" }), "Azure says A: a"),
            (
                json!({ "code": "A", "message": "a", "details": [{ "code": "QuotaExceeded", "message": "b" }] }),
                "Azure says A: a QuotaExceeded: b; delete what is not needed",
            ),
        ] {
            let error = failed(&error, "Failed", task).to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn paths_are_encoded() {
        assert_eq!(group("a b", "x/y"), "resourceGroups/a%20b/x/y");
        assert_eq!(group("a", ""), "resourceGroups/a");
    }
}
