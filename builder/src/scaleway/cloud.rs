//! Requests to the Instance API.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::Method;

use super::{Login, ScalewayError};
use crate::http::{Answer, Body, Client, Request, Trouble, form};

/// How long Scaleway may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest pause between two looks at something; the first is a second, and each further one twice as long.
const PAUSE: Duration = Duration::from_secs(8);

/// Somebody's part of Scaleway in one zone.
pub struct Cloud {
    client: Client,
    login: Login,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud").field("login", &self.login).finish_non_exhaustive()
    }
}

/// What is looked at until it is as it should be.
pub(crate) struct Wait {
    /// `server`, `snapshot`, `image`, as answers call it.
    pub(crate) what: &'static str,
    /// States that are the aim.
    pub(crate) wanted: &'static [&'static str],
    /// States on the way there.
    pub(crate) passing: &'static [&'static str],
    /// How long it may take; without end, if nothing is said.
    pub(crate) patience: Option<Duration>,
}

impl Cloud {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When certificates cannot be read.
    pub fn new(login: Login) -> Result<Self, ScalewayError> {
        Ok(Self { client: Client::new(&[], SILENCE)?, login })
    }

    /// Asks: `path` is beneath the zone's address, and `action` is what an error says could not be done.
    pub(crate) fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        action: &str,
    ) -> Result<Value, ScalewayError> {
        let Login { url, zone, secret, .. } = &self.login;
        let url = format!("{}/instance/v1/zones/{zone}{path}", url.trim_end_matches('/'));
        let request = || {
            let request = Request::new(method.clone(), url.as_str()).secret("x-auth-token", secret.clone());
            match &body {
                None => request,
                Some(body) => request.body("application/json", Body::Bytes(body.to_string().into_bytes())),
            }
        };
        let failed =
            |(trouble, advice)| ScalewayError::Request { action: action.to_owned(), trouble, advice };
        let answer = self.client.send(&request).map_err(|trouble| failed((trouble, "")))?;
        let answer = accepted(answer).map_err(failed)?;
        // What is deleted has nothing to say.
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// Makes something that is one's own, and returns what the answer says of it under `member`.
    pub(crate) fn make(
        &self,
        path: &str,
        body: Value,
        member: &'static str,
        action: &str,
    ) -> Result<Value, ScalewayError> {
        let mut answer = self.ask(Method::POST, path, Some(self.login.owned(body)), action)?;
        match answer[member].take() {
            made if made["id"].is_string() => Ok(made),
            _ => Err(ScalewayError::Answer { action: action.to_owned(), member }),
        }
    }

    /// One's own images of exactly this name.
    pub(crate) fn images(&self, name: &str) -> Result<Vec<Value>, ScalewayError> {
        let query = form(&[("name", name), ("per_page", "100"), self.login.query()]);
        let answer =
            self.ask(Method::GET, &format!("/images?{query}"), None, &format!("find image {name}"))?;
        let images = answer["images"].as_array().cloned().unwrap_or_default();
        Ok(images.into_iter().filter(|image| image["name"] == name).collect())
    }

    /// Deletes `/KINDs/ID`; what is not there is as good as deleted.
    pub(crate) fn delete(&self, kind: &str, id: &str) -> Result<(), ScalewayError> {
        let deleted =
            self.ask(Method::DELETE, &format!("/{kind}s/{id}"), None, &format!("delete {kind} {id}"));
        match deleted {
            Err(ScalewayError::Request { trouble: Trouble::Refused { status: 404, .. }, .. }) => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    /// Looks at something until it is as it should be, and returns it.
    pub(crate) fn wait(&self, id: &str, wait: &Wait) -> Result<Value, ScalewayError> {
        let Wait { what, wanted, passing, patience } = *wait;
        let (begun, mut pause) = (Instant::now(), Duration::from_secs(1));
        loop {
            let action = format!("look at {what} {id}");
            let mut answer = self.ask(Method::GET, &format!("/{what}s/{id}"), None, &action)?;
            let found = answer[what].take();
            let state = found["state"].as_str().unwrap_or("unknown").to_owned();
            if wanted.contains(&state.as_str()) {
                return Ok(found);
            }
            let id = id.to_owned();
            if !passing.contains(&state.as_str()) {
                let wanted = wanted.first().copied().unwrap_or_default();
                return Err(ScalewayError::State { what, id, state, wanted });
            }
            if let Some(patience) = patience.filter(|patience| begun.elapsed() >= *patience) {
                return Err(ScalewayError::Late { what, id, state, seconds: patience.as_secs() });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE);
        }
    }
}

fn accepted(answer: Answer) -> Result<Answer, (Trouble, &'static str)> {
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let kind = said["type"].as_str().unwrap_or_default().to_owned();
    let status = answer.status;
    answer.ok().map_err(|trouble| {
        let message = match &trouble {
            Trouble::Refused { message, .. } if said["message"].is_string() => message.clone(),
            _ => details(&said),
        };
        let shown = [kind.as_str(), &message].into_iter().filter(|text| !text.is_empty());
        let message = shown.collect::<Vec<_>>().join(": ");
        let trouble = if said.is_object() { Trouble::Refused { status, message } } else { trouble };
        (trouble, advice(status, &kind))
    })
}

/// What an error says about each of its causes.
fn details(said: &Value) -> String {
    let details = said["details"].as_array().map_or(&[][..], Vec::as_slice);
    let detail = |detail: &Value| {
        let texts = detail.as_object().into_iter().flatten().map(|(key, value)| match value {
            Value::String(text) => format!("{key} {text}"),
            value => format!("{key} {value}"),
        });
        texts.collect::<Vec<_>>().join(", ")
    };
    let text = details.iter().map(detail).collect::<Vec<_>>().join("; ");
    text.chars().filter(|c| !c.is_control()).take(400).collect()
}

fn advice(status: u16, kind: &str) -> &'static str {
    match (status, kind) {
        (_, "quotas_exceeded") => {
            "; end what is not needed any more, or have the quota raised in Scaleway's console"
        }
        (_, "out_of_stock") => "; try another zone or type of instance",
        (401, _) | (_, "denied_authentication") => "; check SCW_SECRET_KEY, and whether it has expired",
        (403, _) => "; the key is known, but its policy does not allow this, or the project is another",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_of_an_error_are_told() {
        let said = serde_json::json!({ "type": "quotas_exceeded", "details": [
            { "resource": "instance_server", "quota": 2 }, { "resource": "ip" },
        ] });
        assert_eq!(details(&said), "quota 2, resource instance_server; resource ip");
        assert_eq!(details(&Value::Null), "");
        assert!(advice(403, "quotas_exceeded").contains("quota"));
        assert!(advice(401, "").contains("SCW_SECRET_KEY"));
        assert_eq!(advice(500, ""), "");
    }
}
