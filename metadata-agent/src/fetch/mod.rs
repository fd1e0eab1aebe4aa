//! Documents from a metadata service: tries, waits and tries again until there is an answer or no more time.

mod error;
mod failure;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::console::Console;
use crate::http::{self, Header, Method, Request, Timing, TryError};
use crate::network::NetworkEvents;
use crate::retry::{Failure, Next, Policy, Retry};
use crate::service::Service;
use failure::{busy_status, classify};

pub use error::FetchError;

/// All of the times that a run keeps to.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// For everything together.
    pub deadline: Duration,
    /// For each try.
    pub timing: Timing,
    /// Between the tries.
    pub policy: Policy,
    /// How long an answer waits for providers that come before it in the list and have said nothing yet. A service
    /// that is there answers within milliseconds.
    pub grace: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            timing: Timing::default(),
            policy: Policy::default(),
            grace: Duration::from_secs(1),
        }
    }
}

/// One run, as all that ask for it see it.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The times to keep to.
    pub times: Times,
    /// When it began; the total deadline counts from there.
    pub began: Instant,
    /// Whether a service may be believed that hands out no session tokens (AWS, IMDSv1).
    pub imdsv1: bool,
    /// Who is told.
    pub console: &'a Console,
    /// Set when somebody else's answer was taken.
    pub cancelled: &'a AtomicBool,
}

/// Asks one metadata service.
#[derive(Debug)]
pub struct Fetcher<'a> {
    run: Run<'a>,
    service: Service,
    answers_at: Option<SocketAddr>,
    host: Option<&'static str>,
    headers: Vec<Header>,
    expected: Option<(&'static str, &'static str)>,
    retry: Retry,
    network: NetworkEvents,
}

impl<'a> Fetcher<'a> {
    /// A client of `service`.
    #[must_use]
    pub fn new(service: Service, run: Run<'a>) -> Self {
        Self {
            run,
            service,
            answers_at: None,
            host: service.name(),
            headers: Vec::new(),
            expected: None,
            retry: Retry::new(run.times.policy, run.began + run.times.deadline),
            network: NetworkEvents::subscribe(),
        }
    }

    /// Names the service in each request.
    pub fn set_host(&mut self, host: &'static str) {
        self.host = Some(host);
    }

    /// Sends this with each request from now on, instead of an earlier one of that name.
    pub fn set_header(&mut self, header: Header) {
        self.headers.retain(|known| known.name() != header.name());
        self.headers.push(header);
    }

    /// Takes only answers with this field, its name in lower case: others are somebody else's.
    pub fn expect(&mut self, field: &'static str, value: &'static str) {
        self.expected = Some((field, value));
    }

    /// Whether a service without session tokens may be believed.
    #[must_use]
    pub fn allows_imdsv1(&self) -> bool {
        self.run.imdsv1
    }

    /// Who is asked, as messages name it.
    #[must_use]
    pub fn address(&self) -> String {
        self.answers_at.map_or_else(|| self.service.to_string(), |address| address.ip().to_string())
    }

    /// Whether the total deadline has passed.
    #[must_use]
    pub fn out_of_time(&self) -> bool {
        Instant::now() >= self.retry.deadline() || self.run.cancelled.load(Ordering::Relaxed)
    }

    /// Gets `path`, of at most `limit` bytes; none if the service does not have it (404).
    ///
    /// # Errors
    /// [`FetchError`] when it can't be had before the deadline, or can't get better.
    pub fn get(&mut self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        self.ask(Method::Get, path, None, false, limit)
    }

    /// [`Self::get`] from a port that only the superuser has.
    ///
    /// # Errors
    /// As [`Self::get`], and if there is no such port to be had.
    pub fn get_as_superuser(&mut self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        self.ask(Method::Get, path, None, true, limit)
    }

    /// Has the service make something at `path`, as `header` describes it.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn put(&mut self, path: &str, header: Header, limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        self.ask(Method::Put, path, Some(header), false, limit)
    }

    fn ask(
        &mut self,
        method: Method,
        path: &str,
        header: Option<Header>,
        privileged_port: bool,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, FetchError> {
        let headers: Vec<Header> = self.headers.iter().cloned().chain(header).collect();
        let request = Request { method, path, host: self.host, headers: &headers, privileged_port };
        loop {
            if self.run.cancelled.load(Ordering::Relaxed) {
                return Err(FetchError::Cancelled);
            }
            let addresses = self.answers_at.map_or_else(|| self.service.addresses(), |there| vec![there]);
            let began = Instant::now();
            let (connect_until, answer_until) = (self.retry.connect_until(), self.retry.deadline());
            let timing = self.run.times.timing;
            let tried = http::exchange(&addresses, request, limit, timing, connect_until, answer_until);
            let (failure, error) = match self.judge(method, path, tried) {
                Ok(answer) => return Ok(answer),
                Err((None, error)) => return Err(error),
                Err((Some(failure), error)) => (failure, error),
            };
            self.detail(&error);
            let Next::Again { pause, wake_on_network } = self.retry.failed(failure, began, Instant::now())
            else {
                return Err(error);
            };
            self.tell(failure, &error);
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
        method: Method,
        path: &str,
        tried: Result<(http::Response, SocketAddr), TryError>,
    ) -> Result<Option<Vec<u8>>, (Option<Failure>, FetchError)> {
        let path = path.to_owned();
        match tried {
            Ok((response, address)) => {
                self.retry.answered();
                self.answers_at = Some(address);
                self.detail(format_args!(
                    "{method} {path}: {}, {} bytes",
                    response.status,
                    response.body.len()
                ));
                match response.status {
                    200 | 204 if !self.is_expected(&response) => {
                        let nothing = "no answers of its own kind";
                        Err((None, FetchError::NotThere { address: self.address(), nothing }))
                    }
                    200 | 204 => Ok(Some(response.body)),
                    404 => Ok(None),
                    status => Err((busy_status(status), FetchError::Status { method, path, status })),
                }
            }
            Err(cause) => {
                if matches!(cause, TryError::Response(_)) {
                    self.retry.answered();
                }
                let failure = classify(&cause);
                let no_service = !self.retry.has_answered() && failure != Some(Failure::Busy);
                let error = if no_service {
                    let after = self.run.began.elapsed();
                    FetchError::NoService { address: self.address(), cause, after }
                } else {
                    FetchError::Failed { method, path, cause }
                };
                Err((failure, error))
            }
        }
    }

    fn is_expected(&self, response: &http::Response) -> bool {
        self.expected.is_none_or(|(name, value)| {
            response.fields.iter().any(|(n, v)| n == name && v.eq_ignore_ascii_case(value.as_bytes()))
        })
    }

    /// Says once what the boot is waiting for, so that a pause on the console explains itself.
    fn tell(&self, failure: Failure, error: &FetchError) {
        let address = self.address();
        let console = self.run.console;
        match failure {
            Failure::NetworkDown => console.say_once(format_args!("waiting for a route to {address}")),
            Failure::NoService => console.say_once(format_args!("waiting for an answer from {address}")),
            Failure::Busy => console.say_once(format_args!("{error}; trying again")),
        }
    }

    /// A line for those who look closely, unless nobody waits for this any more.
    fn detail(&self, message: impl std::fmt::Display) {
        if !self.run.cancelled.load(Ordering::Relaxed) {
            self.run.console.detail(message);
        }
    }
}
