//! A vCenter that we are logged in to.

use std::fmt;
use std::fs::File;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Method;

use super::{Login, VCenterError};
use crate::http::{Answer, Body, Client, Request, Secret, Trouble};

/// How long the other side may say nothing. Datastores may be slow with the last bytes of a large file.
const SILENCE: Duration = Duration::from_secs(600);
/// What proves who asks.
const TOKEN: &str = "vmware-api-session-id";

/// A vCenter that we are logged in to, until this is dropped.
pub struct Session {
    login: Login,
    client: Client,
    token: Secret,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("base", &self.login.base).finish_non_exhaustive()
    }
}

impl Session {
    /// Logs in.
    ///
    /// # Errors
    /// When vCenter does not answer, does not know us, or is too old for this interface.
    pub fn log_in(login: Login) -> Result<Self, VCenterError> {
        let client = Client::new(&login.certificates, SILENCE)
            .map_err(|error| VCenterError::Certificates(error.to_string()))?;
        let action = format!("log in at {}", login.base);
        let url = format!("{}/api/session", login.base);
        let question =
            || Request::new(Method::POST, &url).secret("authorization", login.basic.clone()).repeatable();
        let failed = |trouble, advice| VCenterError::Request { action: action.clone(), trouble, advice };
        let answer = client.send(&question).map_err(|trouble| failed(trouble, ""))?;
        let token: String = accepted(answer).and_then(|answer| answer.json()).map_err(|trouble| {
            let advice = of_log_in(&trouble);
            failed(trouble, advice)
        })?;
        Ok(Self { login, client, token: Secret::new(token) })
    }

    /// Asks about something that is there: `path` is beneath the interface, `action` what an error says could not be
    /// done.
    pub(crate) fn get(&self, path: &str, action: &str) -> Result<Value, VCenterError> {
        self.ask(Method::GET, path, None, action)
    }

    /// The same, without patience for a vCenter that is not ready to say it.
    pub(crate) fn get_once(&self, path: &str, action: &str) -> Result<Value, VCenterError> {
        let question = Request::new(Method::GET, format!("{}/api/{path}", self.login.base));
        let answer = self.client.once(question.secret(TOKEN, self.token.clone())).and_then(accepted);
        answer.and_then(|answer| answer.json()).map_err(|trouble| request(action, trouble))
    }

    /// Has something made or done, once: vCenter would do it twice.
    pub(crate) fn post(&self, path: &str, body: Option<&Value>, action: &str) -> Result<Value, VCenterError> {
        self.ask(Method::POST, path, body, action)
    }

    /// Deletes something.
    pub(crate) fn delete(&self, path: &str, action: &str) -> Result<(), VCenterError> {
        self.ask(Method::DELETE, path, None, action).map(drop)
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        action: &str,
    ) -> Result<Value, VCenterError> {
        let url = format!("{}/api/{path}", self.login.base);
        let question = || {
            let question = Request::new(method.clone(), &url).secret(TOKEN, self.token.clone());
            match body {
                Some(body) => question.body("application/json", Body::Bytes(body.to_string().into_bytes())),
                None => question,
            }
        };
        let answer = self.client.send(&question).and_then(accepted);
        let json = answer.and_then(|answer| match answer.body.is_empty() {
            true => Ok(Value::Null),
            false => answer.json(),
        });
        json.map_err(|trouble| request(action, trouble))
    }

    /// Uploads a file of `len` bytes; `path` is beneath `/folder`. `sent` is told how many bytes are.
    pub(crate) fn upload(
        &self,
        path: &str,
        file: &File,
        len: u64,
        sent: &dyn Fn(u64),
        action: &str,
    ) -> Result<(), VCenterError> {
        let question = || {
            let body = Body::Stretch { file, offset: 0, len, sent };
            self.file(Method::PUT, path).body("application/octet-stream", body)
        };
        let answer = self.client.send(&question).and_then(accepted);
        answer.map(drop).map_err(|trouble| request(action, trouble))
    }

    /// The length of a file in a datastore.
    pub(crate) fn length(&self, path: &str, action: &str) -> Result<Option<u64>, VCenterError> {
        let answer = self.client.send(&|| self.file(Method::HEAD, path)).and_then(accepted);
        let answer = answer.map_err(|trouble| request(action, trouble))?;
        Ok(answer.header("content-length").and_then(|len| len.parse().ok()))
    }

    /// Deletes a file in a datastore, if it is there.
    pub(crate) fn delete_file(&self, path: &str, action: &str) -> Result<(), VCenterError> {
        match self.client.send(&|| self.file(Method::DELETE, path)).and_then(accepted) {
            Ok(_) | Err(Trouble::Refused { status: 404, .. }) => Ok(()),
            Err(trouble) => Err(request(action, trouble)),
        }
    }

    /// Datastores know nothing of sessions.
    fn file<'a>(&self, method: Method, path: &str) -> Request<'a> {
        let url = format!("{}/folder/{path}", self.login.base);
        Request::new(method, url).secret("authorization", self.login.basic.clone())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let url = format!("{}/api/session", self.login.base);
        let question =
            Request::new(Method::DELETE, url).secret(TOKEN, self.token.clone()).within(SILENCE / 60);
        // A session that is not ended ends of itself, when it has been idle for five minutes.
        let _ended = self.client.once(question);
    }
}

/// The answer if it says yes, else what vCenter complains about: `{"messages": [{"default_message": …}]}`.
fn accepted(answer: Answer) -> Result<Answer, Trouble> {
    let body: Value = answer.json().unwrap_or_default();
    answer.ok().map_err(|trouble| match trouble {
        Trouble::Refused { status, message } => {
            let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
            let texts: Vec<&str> =
                messages.iter().filter_map(|text| text["default_message"].as_str()).collect();
            let kind = body["error_type"].as_str().map(|kind| format!("{kind}: ")).unwrap_or_default();
            let message = if texts.is_empty() { message } else { format!("{kind}{}", texts.join(" ")) };
            Trouble::Refused { status, message }
        }
        trouble => trouble,
    })
}

fn request(action: &str, trouble: Trouble) -> VCenterError {
    let advice = match &trouble {
        Trouble::Refused { status: 403, .. } => "; the user needs the privilege for that, on this object",
        _ => "",
    };
    VCenterError::Request { action: action.to_owned(), trouble, advice }
}

fn of_log_in(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Refused { status: 401, .. } => "; check user and password in --url or VCURL",
        Trouble::Refused { status: 404, .. } => {
            "; this needs vCenter 7.0 Update 2 or newer: on ESXi alone and on older ones, `govc datastore.upload` and `govc \
             vm.create` do the same"
        }
        Trouble::Unreachable(reason) if reason.contains("not trusted") => {
            "; name vCenter's own certificates with --cert-file"
        }
        _ => "",
    }
}
