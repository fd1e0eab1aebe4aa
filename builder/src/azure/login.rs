//! Who we are: a service principal, by LinuxKit's variables.
//!
//! Source: "Microsoft identity platform and the OAuth 2.0 client credentials flow".

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http::Method;

use super::AzureError;
use crate::http::{Answer, Body, Client, Request, Secret, Trouble, encoded, form, is_safe};

const AUTHORITY: &str = "https://login.microsoftonline.com";
const MANAGEMENT: &str = "https://management.azure.com";
/// How long a token counts that does not say.
const LIFETIME: Duration = Duration::from_secs(3600);
/// A token with less time than this is not begun anything with.
const SPARE: Duration = Duration::from_secs(120);

/// Who asks, for which subscription, and where.
#[derive(Debug)]
pub struct Login {
    pub(super) subscription: String,
    pub(super) management: String,
    pub(super) certificates: Vec<PathBuf>,
    tenant: String,
    client: String,
    secret: Secret,
    authority: String,
}

impl Login {
    /// From these variables. `AZURE_AUTHORITY_HOST` and `AZURE_RESOURCE_MANAGER_ENDPOINT` say where another cloud than
    /// the public one is.
    ///
    /// # Errors
    /// With the name of one that is missing.
    pub fn new(
        certificates: &[PathBuf],
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, AzureError> {
        let must = |name: &'static str| variable(name).ok_or(AzureError::NotSet(name));
        let place = |name: &'static str, usual: &str| {
            let url = variable(name).unwrap_or_else(|| usual.to_owned());
            match is_safe(&url) {
                true => Ok(url.trim_end_matches('/').to_owned()),
                false => Err(AzureError::Address { name, value: url }),
            }
        };
        Ok(Self {
            subscription: must("AZURE_SUBSCRIPTION_ID")?,
            tenant: must("AZURE_TENANT_ID")?,
            client: must("AZURE_CLIENT_ID")?,
            secret: Secret::new(must("AZURE_CLIENT_SECRET")?),
            authority: place("AZURE_AUTHORITY_HOST", AUTHORITY)?,
            management: place("AZURE_RESOURCE_MANAGER_ENDPOINT", MANAGEMENT)?,
            certificates: certificates.to_vec(),
        })
    }
}

/// What proves who asks.
#[derive(Debug)]
pub(super) struct Token {
    /// For the header.
    pub(super) bearer: Secret,
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
    pub(super) fn lasts(&self) -> bool {
        Instant::now() + SPARE < self.until
    }

    /// A new one.
    pub(super) fn fetch(client: &Client, login: &Login) -> Result<Self, AzureError> {
        let url = format!("{}/{}/oauth2/v2.0/token", login.authority, encoded(&login.tenant));
        let scope = format!("{}/.default", login.management);
        let fields = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", login.client.as_str()),
            ("client_secret", login.secret.reveal()),
            ("scope", &scope),
        ]);
        let question = || {
            let body = Body::Bytes(fields.clone().into_bytes());
            Request::new(Method::POST, &url).body("application/x-www-form-urlencoded", body).repeatable()
        };
        client.send(&question).and_then(granted).map_err(|trouble| AzureError::LogIn {
            client: login.client.clone(),
            url: url.clone(),
            trouble,
        })
    }
}

fn granted(answer: Answer) -> Result<Token, Trouble> {
    if let Ok(Refused { error, error_description }) = answer.json::<Refused>() {
        let text = error_description.unwrap_or_default();
        // What follows are numbers for the support.
        let first = text.lines().next().unwrap_or_default();
        return Err(Trouble::Refused { status: answer.status, message: format!("{error}: {first}") });
    }
    let Granted { access_token, expires_in } = answer.ok()?.json()?;
    let lifetime = expires_in.map_or(LIFETIME, Duration::from_secs).min(24 * LIFETIME);
    Ok(Token { bearer: Secret::new(format!("Bearer {access_token}")), until: Instant::now() + lifetime })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 4] =
        ["AZURE_SUBSCRIPTION_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"];

    #[test]
    fn what_is_missing_is_named() {
        let without =
            |missing: &str, name: &str| (ALL.contains(&name) && name != missing).then(|| "v".to_owned());
        for missing in ALL {
            let error = Login::new(&[], &|name| without(missing, name)).unwrap_err().to_string();
            assert!(error.contains(&format!("{missing} is not set")), "{error}");
        }
        let login = Login::new(&[], &|name| without("", name)).unwrap();
        assert_eq!((login.authority.as_str(), login.management.as_str()), (AUTHORITY, MANAGEMENT));
    }

    #[test]
    fn secrets_go_nowhere_but_by_https() {
        for (url, safe) in [
            ("https://login.example/", true),
            ("http://127.0.0.1:5000", true),
            ("http://login.example", false),
            ("login.example", false),
            ("", false),
        ] {
            let variable = |name: &str| {
                if name == "AZURE_AUTHORITY_HOST" { Some(url.to_owned()) } else { Some("https://v".into()) }
            };
            assert_eq!(Login::new(&[], &variable).is_ok(), safe, "{url}");
        }
    }
}
