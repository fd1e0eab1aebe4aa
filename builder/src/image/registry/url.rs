//! Where requests go.

use std::fmt;

use ureq::http::Uri;

/// An absolute `http` or `https` address without user name and password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    scheme: Scheme,
    /// Host and, if it is written, port; lower case.
    authority: String,
    /// From the first slash on, with the query.
    path: String,
}

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// Why a text is no address. The text itself is not repeated: it may have a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not even in form.
    #[error("it is not a URL of the form https://HOST[:PORT]")]
    Form,
    /// Not `http` and not `https`.
    #[error("its scheme is neither https nor http")]
    Scheme,
    /// A user name or password.
    #[error(
        "it has a user name or a password in it; write those into Docker's config.json with `docker login`"
    )]
    Secret,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Form)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(UrlError::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(UrlError::Secret);
        }
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = Self { scheme, authority: authority.to_ascii_lowercase(), path: format!("{slash}{path}") };
        let uri: Uri = url.text().parse().map_err(|_| UrlError::Form)?;
        let port = url.authority[url.host().len()..].strip_prefix(':');
        let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
        if uri.host().is_none_or(str::is_empty) || !port_is_one {
            return Err(UrlError::Form);
        }
        Ok(url)
    }

    /// The root of a host.
    pub(super) fn root(scheme: Scheme, authority: &str) -> Result<Self, UrlError> {
        let scheme = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        Self::parse(&format!("{scheme}://{authority}/"))
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and, if it is written, port.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// All of it, query included: for the client, not for people.
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.origin(), self.path)
    }

    /// Another place on the same host; `path` starts with a slash.
    pub(super) fn at(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    /// Where a `Location` header leads (RFC 3986, section 5.2, without dot segments, which servers resolve).
    pub(super) fn join(&self, location: &str) -> Result<Self, UrlError> {
        if location.contains("://")
            && location.split("://").next().is_some_and(|before| !before.contains('/'))
        {
            return Self::parse(location);
        }
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        if location.starts_with('/') {
            return Self::parse(&format!("{}{location}", self.origin()));
        }
        let path = self.path.split('?').next().unwrap_or_default();
        let parent = path.rfind('/').map_or("/", |slash| &path[..=slash]);
        Self::parse(&format!("{}{parent}{location}", self.origin()))
    }

    /// Whether both mean the same port of the same host by the same scheme.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host() == other.host() && self.port() == other.port()
    }

    /// Whether it is this machine, so that nobody can listen in.
    pub(super) fn is_loopback(&self) -> bool {
        crate::http::is_loopback(&self.authority)
    }

    pub(super) fn host(&self) -> &str {
        host(&self.authority)
    }

    fn port(&self) -> u16 {
        let written =
            self.authority[self.host().len()..].strip_prefix(':').and_then(|port| port.parse().ok());
        written.unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }

    fn origin(&self) -> String {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

/// The host of `HOST[:PORT]`; brackets of an IPv6 address stay.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

/// Without the path, which may be long, and the query, which may be a signature that opens it.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_is_no_address_of_a_host_is_refused() {
        for (text, error) in [
            ("", UrlError::Form),
            ("host", UrlError::Form),
            ("https://", UrlError::Form),
            ("https:///x", UrlError::Form),
            ("https://a b/", UrlError::Form),
            ("https://a:99999/", UrlError::Form),
            ("https://a:/", UrlError::Form),
            ("ftp://a/", UrlError::Scheme),
            ("https://user:word@a/", UrlError::Secret),
        ] {
            assert_eq!(Url::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_query_is_not_shown() {
        let url = url("https://A.example:8/x/y?signature=abc");
        assert_eq!(url.to_string(), "https://a.example:8");
        assert_eq!(format!("{url:?}"), "https://a.example:8");
        assert_eq!(url.text(), "https://a.example:8/x/y?signature=abc");
    }

    #[test]
    fn locations_are_relative_to_where_they_come_from() {
        let from = url("https://a.example/v2/x?y=https://b");
        for (location, to) in [
            ("https://b/c", "https://b/c"),
            ("//b/c", "https://b/c"),
            ("/c?d=http://e", "https://a.example/c?d=http://e"),
            ("c", "https://a.example/v2/c"),
            ("http://b/", "http://b/"),
        ] {
            assert_eq!(from.join(location).unwrap().text(), to);
        }
    }

    #[test]
    fn the_origin_has_scheme_host_and_port() {
        assert!(url("https://a/x").same_origin(&url("https://A:443/y")));
        for other in ["http://a/x", "https://a:444/x", "https://b/x"] {
            assert!(!url("https://a/x").same_origin(&url(other)), "{other}");
        }
    }
}
