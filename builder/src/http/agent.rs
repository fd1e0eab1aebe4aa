//! Connections: certificates, time limits, proxies.

use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

/// How long a name may take to be looked up, and a connection, TLS included, to come about.
pub(super) const CONNECT: Duration = Duration::from_secs(20);
/// Largest file of certificates, in bytes.
const MAX_CERTIFICATES: u64 = 16 << 20;

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read certificates from {}: {reason}", path.display())]
pub struct CertificateError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

/// What opens connections.
pub(crate) struct Agents {
    usual: Agent,
    /// Without the proxy that the environment may name: nothing beyond this machine is asked.
    direct: Agent,
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agents")
    }
}

impl Agents {
    /// Trusts the system's certificates, and those in these files, in PEM form. The other side may say nothing for as
    /// long as `silence`.
    pub(crate) fn new(certificates: &[PathBuf], silence: Duration) -> Result<Self, CertificateError> {
        // Those of the system that cannot be read are only missed if somebody needs them.
        let mut trusted: Vec<Certificate<'static>> = rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .collect();
        for path in certificates {
            trusted.extend(read(path)?);
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&trusted))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = || {
            Agent::config_builder()
                .tls_config(tls.clone())
                .user_agent(concat!("lkb/", env!("CARGO_PKG_VERSION")))
                .http_status_as_error(false)
                // Whoever asks follows them, and knows what they may not do.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_resolve(Some(CONNECT))
                .timeout_connect(Some(CONNECT))
                .timeout_per_read(Some(silence))
                .timeout_per_write(Some(silence))
        };
        Ok(Self { usual: config().build().into(), direct: config().proxy(None).build().into() })
    }

    /// What asks this `HOST[:PORT]`.
    pub(crate) fn to(&self, authority: &str) -> &Agent {
        if is_loopback(authority) { &self.direct } else { &self.usual }
    }
}

/// Whether `HOST[:PORT]` is this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a secret may go to this address: nobody may listen on the way.
pub(crate) fn is_safe(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| match (uri.scheme_str(), uri.authority()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(authority)) => is_loopback(authority.as_str()),
        _ => false,
    })
}

fn read(path: &Path) -> Result<Vec<Certificate<'static>>, CertificateError> {
    let failed = |reason: String| CertificateError { path: path.to_owned(), reason };
    let mut pem = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_CERTIFICATES).read_to_end(&mut pem))
        .map_err(|error| failed(error.to_string()))?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    if found.is_empty() { Err(failed("it has no certificate".into())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_name_and_by_number() {
        for authority in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "[::1]"]
        {
            assert!(is_loopback(authority), "{authority}");
        }
        for authority in ["localhost.example", "128.0.0.1", "127.0.0.1.example", "[::2]:5000", "a"] {
            assert!(!is_loopback(authority), "{authority}");
        }
    }

    #[test]
    fn secrets_go_nowhere_but_by_https() {
        for (url, safe) in [
            ("https://login.example/", true),
            ("http://127.0.0.1:5000/token", true),
            ("http://login.example", false),
            ("login.example", false),
            ("/token", false),
            ("", false),
        ] {
            assert_eq!(is_safe(url), safe, "{url}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "nothing").unwrap();
        let error = Agents::new(std::slice::from_ref(&file), CONNECT).unwrap_err().to_string();
        assert_eq!(error, format!("cannot read certificates from {}: it has no certificate", file.display()));
        assert!(Agents::new(&[dir.path().join("none.pem")], CONNECT).is_err());
    }
}
