//! A package, and its name among all packages of the world.

use serde::{Deserialize, Serialize};

/// Longest value that is taken over, in characters. What is longer is cut: it is text for people.
const MAX_TEXT: usize = 256;
/// Longest name and longest version, in bytes: no real one comes near.
const MAX_NAME: usize = 256;

/// A package that is installed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, as its distribution writes it.
    pub version: String,
    /// The package URL (ECMA-427).
    pub purl: String,
    /// The licence, as the package states it; not necessarily in SPDX's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// What it was built from: `NAME VERSION`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
}

/// Whose packages they are (os-release(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Distribution {
    /// `debian`, `alpine`; empty if it does not say.
    pub(super) id: String,
    /// `12`; empty if there is none.
    pub(super) version: String,
}

impl Distribution {
    /// Reads `os-release`.
    pub(super) fn read(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            shown(line.unwrap_or_default().trim_matches(['"', '\'']))
        };
        Self { id: value("ID"), version: value("VERSION_ID") }
    }
}

impl Package {
    /// One of a distribution; none without a name, a version, or with one that is no name.
    pub(super) fn of(
        kind: &str,
        default_distribution: &str,
        distribution: &Distribution,
        [name, version, arch]: [&str; 3],
    ) -> Option<Self> {
        let is_fit = |text: &str| {
            (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        };
        if !is_fit(name) || !is_fit(version) {
            return None;
        }
        let id = if distribution.id.is_empty() { default_distribution } else { &distribution.id };
        let mut purl = format!("pkg:{kind}/{}/{}@{}", encode(id), encode(name), encode(version));
        let mut separator = '?';
        let mut qualify = |key: &str, value: &str| {
            if !value.is_empty() {
                purl += &format!("{separator}{key}={}", encode(value));
                separator = '&';
            }
        };
        qualify("arch", &shown(arch));
        if !distribution.version.is_empty() {
            qualify("distro", &format!("{id}-{}", distribution.version));
        }
        let (license, source) = (String::new(), String::new());
        Some(Self { name: name.to_owned(), version: version.to_owned(), purl, license, source })
    }
}

/// A stranger's text, as far as it is taken over.
pub(super) fn shown(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

/// Percent-encoding (ECMA-427, "Character encoding").
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                encoded.push(byte.into())
            }
            byte => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}
