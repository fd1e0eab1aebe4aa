//! Credential helpers: programs that keep passwords for Docker (docker-credential-helpers, "Development").

use std::io::Write;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::keychain::Credentials;
use crate::http::Secret;

/// What credential helpers say when they have nothing (`docker-credential-helpers`, `errCredentialsNotFoundMessage`).
const HELPER_HAS_NONE: &str = "credentials not found in native keychain";
/// The user name of a secret that is a token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// Asks a credential helper. The host goes to its standard input, so that no list of processes has it.
pub(super) fn ask(helper: &str, registry: &str) -> Result<Option<Credentials>, String> {
    if helper.is_empty() || !helper.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c)) {
        return Err("its name is no program's name".into());
    }
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not listen has its own reasons, and tells them by its exit status.
        let _closed = input.write_all(registry.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return match said.trim() == HELPER_HAS_NONE {
            true => Ok(None),
            // What it says is not repeated: nobody knows what is in there.
            false => Err(format!("it ended with {}; run it by hand to see why", output.status)),
        };
    }
    let Helped { username, secret } =
        serde_json::from_slice(&output.stdout).map_err(|_| "its answer is not understood".to_owned())?;
    let secret = Secret::new(secret);
    Ok(Some(match username.as_str() {
        TOKEN_USER => Credentials::Identity(secret),
        _ => Credentials::Password { user: username, password: secret },
    }))
}
