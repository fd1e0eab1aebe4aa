//! Which failures can get better, and what they say about the network. Pure.

use std::io::ErrorKind;

use crate::http::TryError;
use crate::retry::Failure;

/// Statuses that mean "later" (RFC 9110 15.5.9 and 15.6, RFC 6585 4).
pub(super) fn busy_status(status: u16) -> Option<Failure> {
    matches!(status, 408 | 429 | 500..=599).then_some(Failure::Busy)
}

/// Which failures can get better, and what they say about the network.
pub(super) fn classify(error: &TryError) -> Option<Failure> {
    match error {
        TryError::NoRoute => Some(Failure::NetworkDown),
        // Sent, and refused, not resolved on the link, rejected by a router, or dropped.
        TryError::Connect(e) => matches!(
            e.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::ConnectionReset
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::NetworkDown
                | ErrorKind::AddrNotAvailable
                | ErrorKind::TimedOut
                | ErrorKind::WouldBlock
        )
        .then_some(Failure::NoService),
        // A user-mode network may accept for a peer that it then can't reach.
        TryError::Silent | TryError::Broken(_) => Some(Failure::NoService),
        TryError::Slow(_) => Some(Failure::Busy),
        TryError::Response(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http;

    #[test]
    fn failures_are_told_apart_by_what_they_say_about_the_network() {
        let connect = |errno: i32| TryError::Connect(std::io::Error::from_raw_os_error(errno));
        use nix::libc;
        for (error, wanted) in [
            (TryError::NoRoute, Some(Failure::NetworkDown)),
            (connect(libc::ENETUNREACH), Some(Failure::NoService)), // a router says so
            (connect(libc::ECONNREFUSED), Some(Failure::NoService)),
            (connect(libc::EHOSTUNREACH), Some(Failure::NoService)),
            (connect(libc::ETIMEDOUT), Some(Failure::NoService)),
            (connect(libc::ECONNRESET), Some(Failure::NoService)),
            (connect(libc::EPERM), None), // a firewall of our own
            (TryError::Silent, Some(Failure::NoService)),
            (TryError::Slow(Duration::ZERO), Some(Failure::Busy)),
            (TryError::Response(http::ResponseError::NotHttp), None),
        ] {
            assert_eq!(classify(&error), wanted, "{error}");
        }
    }

    #[test]
    fn only_statuses_that_mean_later_are_tried_again() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(busy_status(status), Some(Failure::Busy), "{status}");
        }
        for status in [301, 302, 400, 401, 403, 410] {
            assert_eq!(busy_status(status), None, "{status}");
        }
    }
}
