//! OAuth 2.0: what clouds give whoever proves who it is (RFC 6749, section 5).

use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http::Method;

use super::{Answer, Body, Client, Request, Secret, Trouble, form};

/// How long a token counts that does not say, in seconds.
const LIFETIME: u64 = 3600;
/// A token with less time than this is not begun anything with.
const SPARE: Duration = Duration::from_secs(120);

/// What proves who asks.
#[derive(Debug)]
pub(crate) struct Token {
    /// For the header.
    pub(crate) bearer: Secret,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

impl Token {
    /// Whether something may be begun with it.
    pub(crate) fn lasts(&self) -> bool {
        Instant::now() + SPARE < self.until
    }

    /// A new one, for the proof that these fields are.
    pub(crate) fn ask(client: &Client, url: &str, fields: &[(&str, &str)]) -> Result<Self, Trouble> {
        let fields = form(fields);
        let question = || {
            let body = Body::Bytes(fields.clone().into_bytes());
            Request::new(Method::POST, url).body("application/x-www-form-urlencoded", body).repeatable()
        };
        client.send(&question).and_then(granted)
    }
}

fn granted(answer: Answer) -> Result<Token, Trouble> {
    if let Ok(Refused { error, error_description }) = answer.json::<Refused>() {
        // What follows the first line are numbers for the cloud's support.
        let first = error_description.as_deref().and_then(|text| text.lines().next());
        let message = first.map_or_else(|| error.clone(), |text| format!("{error}: {text}"));
        return Err(Trouble::Refused { status: answer.status, message });
    }
    let Granted { access_token, expires_in } = answer.ok()?.json()?;
    let lifetime = Duration::from_secs(expires_in.unwrap_or(LIFETIME).min(24 * LIFETIME));
    Ok(Token { bearer: Secret::new(format!("Bearer {access_token}")), until: Instant::now() + lifetime })
}
