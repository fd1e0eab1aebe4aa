//! Who is asked in a registry's place.

use std::collections::BTreeMap;

use super::super::reference::canonical_registry;
use super::url::{Scheme, Url, UrlError};
use crate::http::is_loopback;

/// The registry that stands for all.
const ALL: &str = "*";
/// Where docker.io's images are.
const DOCKER_HOST: &str = "registry-1.docker.io";

/// The mirrors of every registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    by_registry: BTreeMap<String, Vec<Url>>,
}

/// Why a mirror cannot be used. The URL is not repeated: it may have a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// No address.
    #[error("mirror {0}: {1}; a mirror is written [REGISTRY=]http(s)://HOST[:PORT]")]
    Url(String, UrlError),
    /// A path, which registries cannot have before their own.
    #[error("mirror {0}: its URL has a path; registries are found at the root of a host")]
    Path(String),
    /// The part before `=` is no host.
    #[error("mirror {0}: {1:?} is not a registry's host name and port")]
    Registry(String, String),
}

/// Where a registry is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// At this address, by this scheme only.
    At(Url),
    /// At this address on this machine; by `https`, or by `http` if it speaks no TLS.
    Loopback { https: Url, http: Url },
}

impl Mirrors {
    /// Reads mirrors: `[REGISTRY=]URL` each. Those of the command line take the place of those that the
    /// environment (`LINUXKIT_MIRROR`, separated by commas and spaces) has for the same registry.
    ///
    /// # Errors
    /// When one is not of that form.
    pub fn parse(command_line: &[String], environment: Option<&str>) -> Result<Self, MirrorError> {
        let split = environment.unwrap_or_default().split(|c: char| c == ',' || c.is_whitespace());
        let mut this = Self::of(split.filter(|mirror| !mirror.is_empty()), "in LINUXKIT_MIRROR")?;
        this.by_registry
            .extend(Self::of(command_line.iter().map(String::as_str), "of --mirror")?.by_registry);
        Ok(this)
    }

    fn of<'a>(mirrors: impl Iterator<Item = &'a str>, source: &str) -> Result<Self, MirrorError> {
        let mut this = Self::default();
        for (index, mirror) in mirrors.enumerate() {
            let which = || format!("{} {source}", index + 1);
            let (registry, url) = match mirror.split_once('=') {
                // An equals sign behind the scheme belongs to the URL.
                Some((registry, url)) if !registry.contains("://") => (registry, url),
                _ => (ALL, mirror),
            };
            let registry = match registry {
                ALL => ALL,
                registry => canonical_registry(registry)
                    .ok_or_else(|| MirrorError::Registry(which(), registry.to_owned()))?,
            };
            let url = Url::parse(url).map_err(|error| MirrorError::Url(which(), error))?;
            if url.path() != "/" {
                return Err(MirrorError::Path(which()));
            }
            this.by_registry.entry(registry.to_owned()).or_default().push(url);
        }
        Ok(this)
    }

    /// Who is asked for a registry's images, in this order.
    pub(super) fn endpoints(&self, registry: &str) -> Result<Vec<Endpoint>, UrlError> {
        if let Some(mirrors) = self.by_registry.get(registry).or_else(|| self.by_registry.get(ALL)) {
            return Ok(mirrors.iter().cloned().map(Endpoint::At).collect());
        }
        Ok(vec![Self::own(registry)?])
    }

    /// The registry itself: what is pushed to a mirror is not there for others.
    pub(super) fn own(registry: &str) -> Result<Endpoint, UrlError> {
        let host = if registry == "docker.io" { DOCKER_HOST } else { registry };
        let https = Url::root(Scheme::Https, host)?;
        Ok(match is_loopback(host) {
            true => Endpoint::Loopback { https, http: Url::root(Scheme::Http, host)? },
            false => Endpoint::At(https),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(mirrors: &Mirrors, registry: &str) -> Vec<String> {
        let endpoints = mirrors.endpoints(registry).unwrap();
        endpoints
            .iter()
            .map(|endpoint| match endpoint {
                Endpoint::At(url) => url.to_string(),
                Endpoint::Loopback { https, http } => format!("{https} or {http}"),
            })
            .collect()
    }

    fn flags(flags: &[&str]) -> Vec<String> {
        flags.iter().map(|&flag| flag.to_owned()).collect()
    }

    #[test]
    fn registries_are_asked_themselves_by_https() {
        let none = Mirrors::default();
        assert_eq!(asked(&none, "docker.io"), ["https://registry-1.docker.io"]);
        assert_eq!(asked(&none, "a.example:5000"), ["https://a.example:5000"]);
        assert_eq!(asked(&none, "localhost:5000"), ["https://localhost:5000 or http://localhost:5000"]);
    }

    #[test]
    fn a_mirror_is_for_one_registry_or_for_all() {
        let mirrors = Mirrors::parse(
            &flags(&["http://all:1", "index.docker.io=https://hub", "docker.io=https://hub2/"]),
            None,
        )
        .unwrap();
        assert_eq!(asked(&mirrors, "docker.io"), ["https://hub", "https://hub2"]);
        assert_eq!(asked(&mirrors, "a.example"), ["http://all:1"]);
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let mirrors = Mirrors::parse(
            &flags(&["docker.io=https://flag"]),
            Some("docker.io=https://env,a.example=https://env https://all"),
        )
        .unwrap();
        assert_eq!(asked(&mirrors, "docker.io"), ["https://flag"]);
        assert_eq!(asked(&mirrors, "a.example"), ["https://env"]);
        assert_eq!(asked(&mirrors, "b.example"), ["https://all"]);
    }

    #[test]
    fn what_is_no_mirror_is_refused_without_its_password() {
        for bad in
            ["hub", "ftp://hub", "docker.io=", "a b=https://hub", "https://hub/path", "https://u:secret@hub"]
        {
            let error = Mirrors::parse(&flags(&["https://good", bad]), None).unwrap_err().to_string();
            assert!(error.starts_with("mirror 2 of --mirror: "), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let error = Mirrors::parse(&[], Some("hub")).unwrap_err().to_string();
        assert!(error.starts_with("mirror 1 in LINUXKIT_MIRROR: "), "{error}");
    }
}
