//! Who we are: the files of service accounts, and those that `gcloud auth application-default login` writes.
//!
//! Source: "How Application Default Credentials works" and AIP-4110 to AIP-4113.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::GcpError;
use crate::http::{Secret, is_safe};

/// No such file is larger, in bytes.
const MAX: u64 = 1 << 20;
/// Where tokens are to be had unless a file says something else.
const TOKENS: &str = "https://oauth2.googleapis.com/token";

/// What is exchanged for a token.
#[derive(Debug)]
pub enum Key {
    /// A private key, for programs.
    Service(Service),
    /// A person's consent.
    User(User),
}

/// A service account's.
#[derive(Debug)]
pub struct Service {
    /// The account.
    pub email: String,
    /// Its private key: PKCS #8 in PEM.
    pub private_key: Secret,
    /// The key's name.
    pub key_id: Option<String>,
    /// Where tokens are to be had.
    pub token_url: String,
    /// The account's project.
    pub project: Option<String>,
}

/// A person's.
#[derive(Debug)]
pub struct User {
    /// The program that was consented to.
    pub client_id: String,
    /// Its password.
    pub client_secret: Secret,
    /// The consent.
    pub refresh_token: Secret,
    /// Where tokens are to be had.
    pub token_url: String,
    /// The project that pays.
    pub project: Option<String>,
}

/// The file, of which each kind has some.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    project_id: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    quota_project_id: Option<String>,
}

impl Key {
    /// Of a file.
    ///
    /// # Errors
    /// When it cannot be read, or is none of the two kinds; what it holds is not shown.
    pub fn read(path: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, GcpError> {
        let failed = |reason: String| GcpError::Key { path: path.to_owned(), reason };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX + 1).read_to_string(&mut text));
        read.map_err(|error| failed(error.to_string()))?;
        if text.len() as u64 > MAX {
            return Err(failed("it has more than 1 MiB".into()));
        }
        parse(&text, variable("CLOUDSDK_AUTH_TOKEN_HOST")).map_err(failed)
    }

    /// Whom the cloud will see.
    #[must_use]
    pub fn who(&self) -> &str {
        match self {
            Self::Service(service) => &service.email,
            Self::User(_) => "the user who has logged in with gcloud",
        }
    }

    /// The project that the file names.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::Service(service) => service.project.as_deref(),
            Self::User(user) => user.project.as_deref(),
        }
    }
}

/// The file that is meant: the one that is named, else the one of the environment, else the one that gcloud writes.
///
/// # Errors
/// When there is none.
pub fn find(named: Option<PathBuf>, variable: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, GcpError> {
    if let Some(path) = named.or_else(|| variable("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from)) {
        return Ok(path);
    }
    let gcloud = variable("CLOUDSDK_CONFIG").map(PathBuf::from);
    let gcloud = gcloud.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config/gcloud")));
    let usual = gcloud.map(|dir| dir.join("application_default_credentials.json"));
    match usual {
        Some(path) if path.exists() => Ok(path),
        usual => {
            Err(GcpError::NoKey(usual.map_or_else(String::new, |path| format!(" and {}", path.display()))))
        }
    }
}

fn parse(text: &str, token_url: Option<String>) -> Result<Key, String> {
    // What serde says in full may have a value in it.
    let document: Document = serde_json::from_str(text)
        .map_err(|error| format!("line {}, column {} is no such JSON", error.line(), error.column()))?;
    let member = |name: &str, value: Option<String>| value.ok_or_else(|| format!("it has no `{name}`"));
    let url = token_url.or(document.token_uri).unwrap_or_else(|| TOKENS.to_owned());
    if !is_safe(&url) {
        return Err(format!("its `token_uri` {url:?} is no https address"));
    }
    match document.kind.as_deref() {
        Some("service_account") => Ok(Key::Service(Service {
            email: member("client_email", document.client_email)?,
            private_key: Secret::new(member("private_key", document.private_key)?),
            key_id: document.private_key_id,
            token_url: url,
            project: document.project_id,
        })),
        Some("authorized_user") => Ok(Key::User(User {
            client_id: member("client_id", document.client_id)?,
            client_secret: Secret::new(member("client_secret", document.client_secret)?),
            refresh_token: Secret::new(member("refresh_token", document.refresh_token)?),
            token_url: url,
            project: document.quota_project_id,
        })),
        kind => Err(format!(
            "it is of type {}; service_account (a key of a service account) and authorized_user (gcloud auth \
             application-default login) are supported",
            kind.unwrap_or("none")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str =
        r#"{"type":"service_account","client_email":"a@p","private_key":"SECRET","project_id":"p"}"#;
    const USER: &str = r#"{"type":"authorized_user","client_id":"c","client_secret":"SECRET","refresh_token":"SECRET","quota_project_id":"q"}"#;

    #[test]
    fn both_kinds_of_files_are_read() {
        let service = parse(SERVICE, None).unwrap();
        assert_eq!((service.who(), service.project()), ("a@p", Some("p")));
        assert!(matches!(&service, Key::Service(service) if service.token_url == TOKENS));
        let user = parse(USER, Some("http://127.0.0.1:1/t".into())).unwrap();
        assert_eq!(user.project(), Some("q"));
        assert!(matches!(&user, Key::User(user) if user.token_url == "http://127.0.0.1:1/t"));
        assert!(!format!("{service:?} {user:?}").contains("SECRET"));
    }

    #[test]
    fn other_files_say_what_is_wrong_and_not_what_they_hold() {
        for (text, says) in [
            ("SECRET", "line 1, column 1 is no such JSON"),
            (r#""SECRET""#, "is no such JSON"),
            (r#"{"type":["SECRET"]}"#, "is no such JSON"),
            (r#"{"type":"external_account","token_uri":"https://a"}"#, "it is of type external_account"),
            ("{}", "it is of type none"),
            (r#"{"type":"service_account","private_key":"SECRET"}"#, "it has no `client_email`"),
            (
                r#"{"type":"authorized_user","client_id":"c","client_secret":"SECRET"}"#,
                "it has no `refresh_token`",
            ),
            (r#"{"token_uri":"http://evil.example/t"}"#, "is no https address"),
        ] {
            let error = parse(text, None).unwrap_err();
            assert!(error.contains(says) && !error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn the_named_file_counts_more_than_the_environment_and_that_more_than_gclouds() {
        let dir = tempfile::tempdir().unwrap();
        let usual = dir.path().join("application_default_credentials.json");
        let home = dir.path().to_str().unwrap().to_owned();
        let gcloud = |name: &str| (name == "CLOUDSDK_CONFIG").then(|| home.clone());
        let error = find(None, &gcloud).unwrap_err().to_string();
        assert!(error.contains(usual.to_str().unwrap()), "{error}");
        std::fs::write(&usual, "").unwrap();
        assert_eq!(find(None, &gcloud).unwrap(), usual);
        let both =
            |name: &str| gcloud(name).or((name == "GOOGLE_APPLICATION_CREDENTIALS").then(|| "e.json".into()));
        assert_eq!(find(None, &both).unwrap(), Path::new("e.json"));
        assert_eq!(find(Some("k.json".into()), &both).unwrap(), Path::new("k.json"));
    }
}
