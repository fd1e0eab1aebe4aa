//! Tokens: who gives them, and what they are asked for (Docker's "Token Authentication Specification").

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::challenge::Challenge;
use super::client::Request;
use super::error::Reason;
use super::keychain::Credentials;
use super::session::{Purpose, Session, Trouble, refused};
use super::url::{Scheme, Url};
use crate::http::Secret;
use crate::http::retry::Attempts;

/// Largest answer with a token, in bytes.
const MAX_TOKEN: u64 = 1 << 20;

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// Shows a token.
pub(super) fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.reveal()))
}

/// Shows a password.
pub(super) fn basic(user: &str, password: &Secret) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal()))))
}

/// Gets a token from whom the registry names, for what the session is about and nothing else.
pub(super) fn fetch(
    session: &Session<'_>,
    challenge: &Challenge,
    credentials: Option<&Credentials>,
) -> Result<Secret, Trouble> {
    let url = realm(&session.base, challenge)?;
    let mut query: Vec<(&str, &str)> = Vec::new();
    if let Some(service) = challenge.get("service") {
        query.push(("service", service));
    }
    let scope = scope(session.repository, session.purpose, challenge.get("scope"));
    query.push(("scope", &scope));
    let sources: Vec<String> =
        session.sources.iter().map(|source| format!("repository:{source}:pull")).collect();
    query.extend(sources.iter().map(|source| ("scope", source.as_str())));
    let (url, authorization, form) = match credentials {
        Some(Credentials::Identity(token)) => {
            query.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "lkb"),
                ("refresh_token", token.reveal()),
            ]);
            (url, None, Some(Secret::new(encode(&query))))
        }
        credentials => {
            let authorization = match credentials {
                Some(Credentials::Password { user, password }) => Some(basic(user, password)),
                _ => None,
            };
            let separator = if url.path().contains('?') { '&' } else { '?' };
            let url = url.at(&format!("{}{separator}{}", url.path(), encode(&query)));
            (url, authorization, None)
        }
    };
    let request = Request {
        accept: "application/json",
        authorization: authorization.as_ref(),
        form: form.as_ref(),
        ..Request::default()
    };
    let mut attempts = Attempts::default();
    loop {
        match ask(session, &url, &request) {
            Err(trouble) if session.waits(&mut attempts, &trouble) => {}
            // What is hopeless here is not to be asked again by those who wanted the token.
            answer => return answer.map_err(|trouble| trouble.reason.into()),
        }
    }
}

fn ask(session: &Session<'_>, url: &Url, request: &Request<'_>) -> Result<Secret, Trouble> {
    let response = session.client.send(url, request)?;
    match response.status().as_u16() {
        200 => {}
        // Those who use OAuth 2 say 400 to a login that is over.
        400 | 401 | 403 if request.authorization.is_some() || request.form.is_some() => {
            return Err(session.denied()?.into());
        }
        401 | 403 => return Err(session.denied()?.into()),
        _ => return Err(refused(response)),
    }
    let bad = |reason: &str| Reason::Challenge(format!("{url} gives no token: {reason}"));
    let mut text = Vec::new();
    response
        .into_body()
        .into_reader()
        .take(MAX_TOKEN)
        .read_to_end(&mut text)
        .map_err(|error| Trouble::from(super::client::classify_io(&error)))?;
    // The text is not repeated: there is a token in it.
    let answer: Answer = serde_json::from_slice(&text).map_err(|_| bad("its answer is not understood"))?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| bad("its answer has none"))?;
    if !token.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(bad("its answer has one that no header can have").into());
    }
    Ok(bearer(&Secret::new(token)))
}

/// Where tokens are given. Encrypted as the registry is: else it could have passwords sent in the clear.
fn realm(registry: &Url, challenge: &Challenge) -> Result<Url, Reason> {
    let realm = challenge.get("realm").ok_or_else(|| Reason::Challenge("it names no realm".into()))?;
    let url = Url::parse(realm).map_err(|error| Reason::Challenge(format!("as to the realm, {error}")))?;
    let trusted = match (registry.scheme(), url.scheme()) {
        (_, Scheme::Https) => true,
        (Scheme::Https, Scheme::Http) => false,
        (Scheme::Http, Scheme::Http) => url.is_loopback() || url.host() == registry.host(),
    };
    match trusted {
        true => Ok(url),
        false => Err(Reason::Challenge(format!("its realm {url} is not encrypted"))),
    }
}

/// What the registry says is needed, as long as it is about this repository.
fn scope(repository: &str, purpose: Purpose, proposed: Option<&str>) -> String {
    let own = format!("repository:{repository}:");
    match (purpose, proposed) {
        // Asked for as a whole: the first question of a push only reads.
        (Purpose::Push, _) => format!("{own}pull,push"),
        (Purpose::Pull, Some(scope)) if scope.starts_with(&own) && !scope.contains(' ') => scope.to_owned(),
        (Purpose::Pull, _) => format!("{own}pull"),
    }
}

/// `application/x-www-form-urlencoded`.
fn encode(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text += name;
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    text.push(char::from(byte))
                }
                byte => text += &format!("%{byte:02X}"),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm_of(registry: &str, realm_text: &str) -> Result<Url, Reason> {
        let parameters = vec![("realm".to_owned(), realm_text.to_owned())];
        realm(&Url::parse(registry).unwrap(), &Challenge { scheme: "bearer".into(), parameters })
    }

    #[test]
    fn a_realm_must_be_encrypted_where_the_registry_is() {
        for (registry, realm) in [
            ("https://a.example", "https://b.example/token"),
            ("http://mirror:5000", "https://b.example/token"),
            ("http://mirror:5000", "http://mirror:5001/token"),
            ("http://localhost:5000", "http://127.0.0.1:5001/token"),
        ] {
            assert!(realm_of(registry, realm).is_ok(), "{registry} {realm}");
        }
        for (registry, realm) in [
            ("https://a.example", "http://a.example/token"),
            ("https://localhost", "http://localhost/token"),
            ("http://mirror:5000", "http://b.example/token"),
            ("https://a.example", "file:///token"),
            ("https://a.example", "token"),
            ("https://a.example", "https://u:p@a.example/token"),
        ] {
            assert!(realm_of(registry, realm).is_err(), "{registry} {realm}");
        }
    }

    #[test]
    fn a_token_is_for_the_repository_that_is_pulled() {
        let scope = |repository, proposed| super::scope(repository, Purpose::Pull, proposed);
        assert_eq!(scope("a/b", Some("repository:a/b:pull,push")), "repository:a/b:pull,push");
        for other in
            [None, Some("repository:c/d:pull"), Some("repository:a/b:pull repository:c/d:pull"), Some("*")]
        {
            assert_eq!(scope("a/b", other), "repository:a/b:pull");
        }
        let pushed = super::scope("a/b", Purpose::Push, Some("repository:a/b:pull"));
        assert_eq!(pushed, "repository:a/b:pull,push");
    }

    #[test]
    fn values_are_encoded() {
        assert_eq!(
            encode(&[("service", "a b&c"), ("scope", "repository:x:pull")]),
            "service=a%20b%26c&scope=repository%3Ax%3Apull"
        );
    }

    #[test]
    fn a_password_is_shown_in_base64() {
        assert_eq!(basic("u", &Secret::new("p")).reveal(), "Basic dTpw");
    }
}
