//! Documents from a metadata service: tries, waits and tries again until there is an answer or no more time.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::console::Console;
use crate::http::{self, Timing, TryError};
use crate::network::NetworkEvents;
use crate::retry::{Failure, Next, Policy, Retry};

/// All of the times that a run keeps to.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// For everything together.
    pub deadline: Duration,
    /// For each try.
    pub timing: Timing,
    /// Between the tries.
    pub policy: Policy,
}

impl Default for Times {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), timing: Timing::default(), policy: Policy::default() }
    }
}

/// Why a document could not be had.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Nobody has ever answered at the address: there is no such service here.
    #[error("{address}: {cause} after {} s", .after.as_secs_f32().round())]
    NoService {
        /// Who was asked.
        address: String,
        /// The last try's failure.
        cause: TryError,
        /// Since the run began.
        after: Duration,
    },
    /// Somebody answers, but not with documents of this kind.
    #[error("{address} answers, but has neither of {paths}")]
    NotThere {
        /// Who was asked.
        address: String,
        /// What was asked for.
        paths: &'static str,
    },
    /// The service answers with a status that trying again doesn't change, or the last of those that it could.
    #[error("GET {path}: the service answers {status}")]
    Status {
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
    },
    /// The tries went wrong, the last one like this.
    #[error("GET {path}: {cause}")]
    Failed {
        /// What was asked for.
        path: String,
        /// The last try's failure.
        cause: TryError,
    },
}

impl FetchError {
    /// Whether this means that there is no such service, rather than that one does not work.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NoService { .. } | Self::NotThere { .. })
    }

    /// Whether the service will not speak to this machine, whatever it is asked.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { status: 401 | 403, .. })
    }
}

/// Asks one metadata service.
#[derive(Debug)]
pub struct Fetcher<'a> {
    address: SocketAddr,
    timing: Timing,
    began: Instant,
    retry: Retry,
    network: NetworkEvents,
    console: &'a Console,
    told: bool,
}

impl<'a> Fetcher<'a> {
    /// A client of `address`; the total deadline counts from `began`.
    #[must_use]
    pub fn new(address: SocketAddr, times: Times, began: Instant, console: &'a Console) -> Self {
        Self {
            address,
            timing: times.timing,
            began,
            retry: Retry::new(times.policy, began + times.deadline),
            network: NetworkEvents::subscribe(),
            console,
            told: false,
        }
    }

    /// Who is asked, as messages name it.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.ip().to_string()
    }

    /// Whether the total deadline has passed.
    #[must_use]
    pub fn out_of_time(&self) -> bool {
        Instant::now() >= self.retry.deadline()
    }

    /// Gets `path`, of at most `limit` bytes; none if the service does not have it (404).
    ///
    /// # Errors
    /// [`FetchError`] when it can't be had before the deadline, or can't get better.
    pub fn get(&mut self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        loop {
            let began = Instant::now();
            let (connect_until, answer_until) = (self.retry.connect_until(), self.retry.deadline());
            let tried = http::get(self.address, path, limit, self.timing, connect_until, answer_until);
            let (failure, error) = match self.judge(path, tried) {
                Ok(answer) => return Ok(answer),
                Err((None, error)) => return Err(error),
                Err((Some(failure), error)) => (failure, error),
            };
            self.console.detail(format_args!("{error}"));
            let Next::Again { pause, wake_on_network } = self.retry.failed(failure, began, Instant::now())
            else {
                return Err(error);
            };
            self.tell_once(failure, &error);
            if wake_on_network {
                self.network.wait(pause);
            } else {
                std::thread::sleep(pause);
            }
        }
    }

    /// What came of a try: an answer, or an error and, if it can get better, its kind.
    fn judge(
        &mut self,
        path: &str,
        tried: Result<http::Response, TryError>,
    ) -> Result<Option<Vec<u8>>, (Option<Failure>, FetchError)> {
        let path = path.to_owned();
        match tried {
            Ok(response) => {
                self.retry.answered();
                self.console.detail(format_args!(
                    "GET {path}: {}, {} bytes",
                    response.status,
                    response.body.len()
                ));
                match response.status {
                    200 | 204 => Ok(Some(response.body)),
                    404 => Ok(None),
                    status => Err((busy_status(status), FetchError::Status { path, status })),
                }
            }
            Err(cause) => {
                if matches!(cause, TryError::Response(_)) {
                    self.retry.answered();
                }
                let failure = classify(&cause);
                let no_service = !self.retry.has_answered() && failure != Some(Failure::Busy);
                let error = if no_service {
                    FetchError::NoService { address: self.address(), cause, after: self.began.elapsed() }
                } else {
                    FetchError::Failed { path, cause }
                };
                Err((failure, error))
            }
        }
    }

    /// Says once what the boot is waiting for, so that a pause on the console explains itself.
    fn tell_once(&mut self, failure: Failure, error: &FetchError) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let address = self.address();
        match failure {
            Failure::NetworkDown => self.console.say(format_args!("waiting for a route to {address}")),
            Failure::NoService => self.console.say(format_args!("waiting for an answer from {address}")),
            Failure::Busy => self.console.say(format_args!("{error}; trying again")),
        }
    }
}

/// Statuses that mean "later" (RFC 9110 15.5.9 and 15.6, RFC 6585 4).
fn busy_status(status: u16) -> Option<Failure> {
    matches!(status, 408 | 429 | 500..=599).then_some(Failure::Busy)
}

/// Which failures can get better, and what they say about the network.
fn classify(error: &TryError) -> Option<Failure> {
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
    use super::*;

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
