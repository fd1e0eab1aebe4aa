//! Why there is no answer, and whether there may be one later.

use std::io;
use std::time::Duration;

use super::agent::CONNECT;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing was sent yet; it may go better another time.
    Unsent(String),
    /// Something was sent, and nobody knows what came of it; it may go better another time.
    Passing(String),
    /// The other side does not speak TLS.
    NotTls,
    /// Its certificate is not trusted.
    Untrusted(String),
    /// It will not go better.
    Lasting(String),
}

impl Failure {
    /// What an error means, where the other side may say nothing for as long as `silence`.
    pub(crate) fn of(error: &ureq::Error, silence: Duration) -> Self {
        match error {
            ureq::Error::Rustls(error) => Self::of_tls(error),
            ureq::Error::Io(error) => Self::of_io(error, silence),
            ureq::Error::Timeout(which) => Self::of_timeout(*which, silence),
            error => Self::Lasting(error.to_string()),
        }
    }

    /// The same for errors in the middle of a body.
    pub(crate) fn of_io(error: &io::Error, silence: Duration) -> Self {
        let inner = error.get_ref();
        if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::of_tls(tls);
        }
        if let Some(ureq::Error::Timeout(which)) = inner.and_then(|inner| inner.downcast_ref::<ureq::Error>())
        {
            return Self::of_timeout(*which, silence);
        }
        let passes = matches!(
            error.kind(),
            io::ErrorKind::TimedOut
                | io::ErrorKind::WouldBlock
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        );
        if passes { Self::Passing(error.to_string()) } else { Self::Lasting(error.to_string()) }
    }

    fn of_timeout(which: ureq::Timeout, silence: Duration) -> Self {
        let seconds = CONNECT.as_secs();
        match which {
            ureq::Timeout::Resolve => {
                Self::Unsent(format!("its name was not found within {seconds} seconds"))
            }
            ureq::Timeout::Connect => {
                Self::Unsent(format!("there was no connection within {seconds} seconds"))
            }
            ureq::Timeout::Global => Self::Lasting("it took longer than it may".into()),
            _ => Self::Passing(format!("it said nothing for {} seconds", silence.as_secs())),
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::InvalidCertificate(_) => Self::Untrusted(error.to_string()),
            error => Self::Lasting(error.to_string()),
        }
    }
}
