//! Docker's `config.json`: who we are for which registry.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::helper;
use crate::http::Secret;

/// What Docker Hub is called in `config.json`.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// Its other names.
const DOCKER_HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/// Where credentials are looked up.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    /// `config.json`; it need not be there.
    path: Option<PathBuf>,
}

/// What somebody has for a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    Password {
        user: String,
        password: Secret,
    },
    /// To be exchanged for a token (OAuth 2's refresh token).
    Identity(Secret),
    /// A token to be shown as it is.
    Bearer(Secret),
}

/// Why credentials cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum KeychainError {
    /// The file is there and cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no JSON of that form. What it says is not repeated.
    #[error("{} is not a configuration of Docker's: line {line}, column {column}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it stops making sense.
        line: usize,
        /// Where it stops making sense.
        column: usize,
    },
    /// An `auth` is not what it should be.
    #[error(
        "{}: the `auth` of {registry} is not the base64 of USER:PASSWORD; run `docker login {registry}` again",
        path.display()
    )]
    Auth {
        /// The file.
        path: PathBuf,
        /// The registry.
        registry: String,
    },
    /// A helper cannot be started, or fails.
    #[error("{}: the credential helper docker-credential-{helper} gives nothing for {registry}: {reason}", path.display())]
    Helper {
        /// The file that names it.
        path: PathBuf,
        /// Its name, without `docker-credential-`.
        helper: String,
        /// The registry.
        registry: String,
        /// Why.
        reason: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: HashMap<String, Auth>,
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Keychain {
    /// The configuration in this directory.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        Self { path: Some(dir.join("config.json")) }
    }

    /// The one of the user: in `DOCKER_CONFIG`, else `~/.docker`.
    #[must_use]
    pub fn of_user() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let dir = variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")));
        dir.map_or_else(Self::default, |dir| Self::in_dir(&dir))
    }

    /// The file, for messages.
    pub(super) fn place(&self) -> String {
        self.path
            .as_ref()
            .map_or_else(|| "no config.json of Docker's".into(), |path| path.display().to_string())
    }

    /// What there is for a host.
    pub(super) fn look_up(&self, registry: &str) -> Result<Option<Credentials>, KeychainError> {
        let Some(path) = &self.path else { return Ok(None) };
        let text = match fs::read(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            read => read.map_err(|source| KeychainError::Read { path: path.clone(), source })?,
        };
        let config: Config = serde_json::from_slice(&text).map_err(|error| KeychainError::Json {
            path: path.clone(),
            line: error.line(),
            column: error.column(),
        })?;
        let names = names(registry);
        let helper =
            names.iter().find_map(|name| config.cred_helpers.get(*name)).or(config.creds_store.as_ref());
        if let Some(helper) = helper {
            let found = helper::ask(helper, names[0]).map_err(|reason| KeychainError::Helper {
                path: path.clone(),
                helper: helper.clone(),
                registry: registry.to_owned(),
                reason,
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let exact = names.iter().find_map(|name| config.auths.get(*name));
        // Keys may be written as addresses, with a scheme and a path.
        let auth = exact.or_else(|| {
            let mut keys: Vec<&String> = config.auths.keys().collect();
            keys.sort();
            keys.into_iter().find(|key| names.contains(&host_of(key))).and_then(|key| config.auths.get(key))
        });
        let Some(auth) = auth else { return Ok(None) };
        auth.credentials()
            .map_err(|()| KeychainError::Auth { path: path.clone(), registry: registry.to_owned() })
    }
}

impl Auth {
    fn credentials(&self) -> Result<Option<Credentials>, ()> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.registrytoken) {
            return Ok(Some(Credentials::Bearer(Secret::new(token))));
        }
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Credentials::Identity(Secret::new(token))));
        }
        if let Some(auth) = filled(&self.auth) {
            let decoded = STANDARD.decode(auth.trim()).map_err(drop)?;
            let decoded = String::from_utf8(decoded).map_err(drop)?;
            let (user, password) = decoded.split_once(':').ok_or(())?;
            // Docker has written a final NUL.
            let password = Secret::new(password.trim_end_matches('\0'));
            return Ok(Some(Credentials::Password { user: user.to_owned(), password }));
        }
        Ok(filled(&self.username)
            .zip(filled(&self.password))
            .map(|(user, password)| Credentials::Password { user, password: Secret::new(password) }))
    }
}

/// What a registry may be called in `config.json`; first what helpers know it by.
fn names(registry: &str) -> Vec<&str> {
    if DOCKER_HOSTS.contains(&registry) {
        return std::iter::once(DOCKER_HUB).chain(DOCKER_HOSTS).collect();
    }
    vec![registry]
}

/// The host of a key, which may be an address.
fn host_of(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    key.split('/').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keychain(json: &str) -> (tempfile::TempDir, Keychain) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), json).unwrap();
        let keychain = Keychain::in_dir(dir.path());
        (dir, keychain)
    }

    fn password(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Password { user: user.into(), password: Secret::new(password) })
    }

    #[test]
    fn without_a_file_nobody_is_anybody() {
        assert_eq!(Keychain::in_dir(Path::new("/nonexistent")).look_up("a.example").unwrap(), None);
        assert_eq!(Keychain::default().look_up("a.example").unwrap(), None);
    }

    #[test]
    fn registries_are_found_by_host_and_by_address() {
        let (_dir, keychain) = keychain(
            r#"{"auths": {
                "a.example": {"auth": "dTpw"},
                "https://b.example/v2/": {"username": "u", "password": "p:q"},
                "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
                "c.example": {"identitytoken": "t", "auth": "dTpw"},
                "d.example": {"registrytoken": "t"},
                "e.example": {}
            }, "HttpHeaders": {}}"#,
        );
        let look_up = |registry| keychain.look_up(registry).unwrap();
        assert_eq!(look_up("a.example"), password("u", "p"));
        assert_eq!(look_up("a.example:5000"), None);
        assert_eq!(look_up("b.example"), password("u", "p:q"));
        assert_eq!(look_up("registry-1.docker.io"), password("hub", "pw"));
        assert_eq!(look_up("c.example"), Some(Credentials::Identity(Secret::new("t"))));
        assert_eq!(look_up("d.example"), Some(Credentials::Bearer(Secret::new("t"))));
        assert_eq!(look_up("e.example"), None);
    }

    #[test]
    fn errors_do_not_repeat_what_the_file_says() {
        for json in [r#"{"auths": {"a.example": {"auth": 5, "password": "hush"}}}"#, r#"{"auths": "hush"}"#] {
            let (_dir, keychain) = keychain(json);
            let error = keychain.look_up("a.example").unwrap_err().to_string();
            assert!(error.contains("line 1, column ") && !error.contains("hush"), "{error}");
        }
        let (_dir, keychain) = keychain(r#"{"auths": {"a.example": {"auth": "hush!"}}}"#);
        let error = keychain.look_up("a.example").unwrap_err().to_string();
        assert!(error.contains("docker login a.example") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn a_helper_must_be_a_program_that_is_there() {
        for helper in ["../x", "lkb-no-such-helper"] {
            let (_dir, keychain) = keychain(&format!(r#"{{"credHelpers": {{"a.example": "{helper}"}}}}"#));
            let error = keychain.look_up("a.example").unwrap_err().to_string();
            assert!(error.contains(&format!("docker-credential-{helper}")), "{error}");
            assert_eq!(keychain.look_up("b.example").unwrap(), None);
        }
    }

    #[test]
    fn secrets_do_not_show() {
        assert!(!format!("{:?}", password("u", "hush")).contains("hush"));
    }
}
