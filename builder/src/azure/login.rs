//! Who we are: a service principal, by LinuxKit's variables.
//!
//! Source: "Microsoft identity platform and the OAuth 2.0 client credentials flow".

use std::path::PathBuf;

use super::AzureError;
use crate::http::{Client, Secret, Token, encoded, is_safe};

const AUTHORITY: &str = "https://login.microsoftonline.com";
const MANAGEMENT: &str = "https://management.azure.com";

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

    /// What proves who asks, anew.
    pub(super) fn token(&self, client: &Client) -> Result<Token, AzureError> {
        let url = format!("{}/{}/oauth2/v2.0/token", self.authority, encoded(&self.tenant));
        let scope = format!("{}/.default", self.management);
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client.as_str()),
            ("client_secret", self.secret.reveal()),
            ("scope", &scope),
        ];
        let failed = |trouble| AzureError::LogIn { client: self.client.clone(), url: url.clone(), trouble };
        Token::ask(client, &url, &fields).map_err(failed)
    }
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
