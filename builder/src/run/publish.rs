//! `--publish HOST:GUEST[/tcp|udp]`.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::str::FromStr;

use thiserror::Error;

/// What is carried over a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A port of the guest that can be reached on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The port on the host, on all its addresses.
    pub host: u16,
    /// The port in the guest.
    pub guest: u16,
    /// What it carries.
    pub protocol: Protocol,
}

/// Why a `--publish` is not understood, or not possible.
#[derive(Debug, Error)]
pub enum PublishError {
    /// Not of the form.
    #[error(
        "{0:?} publishes nothing: write HOST:GUEST or HOST:GUEST/udp with ports from 1 to 65535, like 8080:80"
    )]
    Syntax(String),
    /// The port cannot be had on the host.
    #[error("cannot publish {published}: port {} of the host is {}", published.host, reason(source))]
    Taken {
        /// What was to be published.
        published: Published,
        /// What the kernel said.
        source: io::Error,
    },
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "in use: choose another, or stop what listens there",
        io::ErrorKind::PermissionDenied => "reserved for root: choose one from 1024 up",
        _ => "not to be had",
    }
}

impl Published {
    /// Tries whether the port is free on the host, and gives it back.
    ///
    /// # Errors
    /// When it is in use, or not ours to use.
    pub fn check(self) -> Result<(), PublishError> {
        let address = (Ipv4Addr::UNSPECIFIED, self.host);
        match self.protocol {
            Protocol::Tcp => TcpListener::bind(address).map(drop),
            Protocol::Udp => UdpSocket::bind(address).map(drop),
        }
        .map_err(|source| PublishError::Taken { published: self, source })
    }
}

impl FromStr for Published {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        let parse = || {
            let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            let (host, guest) = ports.split_once(':')?;
            let port = |text: &str| {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                if digits { text.parse::<u16>().ok().filter(|port| *port > 0) } else { None }
            };
            let protocol = match protocol {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                _ => return None,
            };
            Some(Self { host: port(host)?, guest: port(guest)?, protocol })
        };
        parse().ok_or_else(|| PublishError::Syntax(text.to_owned()))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.guest, self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_linuxkit_writes_them() {
        for (text, host, guest, protocol) in [
            ("8080:80", 8080, 80, Protocol::Tcp),
            ("2222:22/tcp", 2222, 22, Protocol::Tcp),
            ("5353:53/udp", 5353, 53, Protocol::Udp),
        ] {
            assert_eq!(text.parse::<Published>().unwrap(), Published { host, guest, protocol }, "{text}");
        }
    }

    #[test]
    fn what_publishes_nothing_is_refused() {
        for text in [
            "",
            "80",
            "80:",
            ":80",
            "0:80",
            "80:0",
            "65536:1",
            "a:b",
            "80:80/sctp",
            "1:2:3",
            "+1:2",
            "80:80/",
        ] {
            assert!(matches!(text.parse::<Published>(), Err(PublishError::Syntax(_))), "{text}");
        }
    }

    #[test]
    fn a_port_in_use_is_told_before_anything_starts() {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let published: Published = format!("{port}:80").parse().unwrap();
        let error = published.check().unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} of the host is in use")), "{error}");
        drop(listener);
        published.check().unwrap();
    }
}
