//! What is asked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Hands out a document.
    Get,
    /// Makes something, here always from nothing: a session's token.
    Put,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        })
    }
}

/// A header field. Its value may be a secret and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: &'static str,
    value: String,
}

impl Header {
    /// A field; none if `value` has anything but printable ASCII, which would break the request's head.
    #[must_use]
    pub fn new(name: &'static str, value: &str) -> Option<Self> {
        let printable = value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        printable.then(|| Self { name, value: value.to_owned() })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.name)
    }
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// GET or PUT.
    pub method: Method,
    /// Path and query: printable ASCII without blanks.
    pub path: &'r str,
    /// The service's name, where it insists on one; otherwise its address is.
    pub host: Option<&'r str>,
    /// Further header fields.
    pub headers: &'r [Header],
    /// Whether to ask from a port below 1024, which tells the service that the superuser asks (Scaleway).
    pub privileged_port: bool,
}

impl Request<'_> {
    /// As it goes to `address`.
    #[must_use]
    pub fn encode(&self, address: SocketAddr) -> String {
        let host = self.host.map_or_else(|| host(address), str::to_owned);
        let headers: String = self.headers.iter().map(|h| format!("{}: {}\r\n", h.name, h.value)).collect();
        // Some services refuse a PUT that does not say that it has no body (RFC 9110, 8.6).
        let length = if self.method == Method::Put { "Content-Length: 0\r\n" } else { "" };
        format!(
            "{} {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: metadata-agent/{}\r\nAccept: */*\r\n{headers}{length}Connection: close\r\n\r\n",
            self.method,
            self.path,
            env!("CARGO_PKG_VERSION"),
        )
    }
}

/// An address as the Host field names it (RFC 9110, 7.2): no zone, and the port only if it is not HTTP's.
fn host(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    if address.port() == 80 { ip } else { format!("{ip}:{}", address.port()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_without_zone_and_default_port() {
        for (address, wanted) in [
            ("169.254.169.254:80", "169.254.169.254"),
            ("169.254.169.254:8000", "169.254.169.254:8000"),
            ("[fe80::a9fe:a9fe%2]:80", "[fe80::a9fe:a9fe]"),
        ] {
            assert_eq!(host(address.parse().unwrap()), wanted);
        }
    }

    #[test]
    fn a_header_cannot_break_the_head_and_its_value_is_not_shown() {
        for bad in ["a\r\nX: y", "a\nb", "\0", "ü"] {
            assert_eq!(Header::new("X-Token", bad), None, "{bad:?}");
        }
        let header = Header::new("X-Token", "S3CRET==").unwrap();
        assert!(!format!("{header:?}").contains("S3CRET"));
        let headers = [header];
        let request = Request {
            method: Method::Put,
            path: "/latest/api/token",
            host: None,
            headers: &headers,
            privileged_port: false,
        };
        let encoded = request.encode("169.254.169.254:80".parse().unwrap());
        assert!(encoded.starts_with("PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n"));
        assert!(encoded.ends_with("X-Token: S3CRET==\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    }
}
