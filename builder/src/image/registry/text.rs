//! Texts from web servers, for configurations that are named by a URL.

use std::io::{self, Read};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, Failure, Request};
use super::error::{PullError, Reason};
use super::url::{Url, UrlError};
use crate::http::retry::{Attempts, passes};

/// How long a text may take altogether.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why a text cannot be had from a web server.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// Its URL has a user name or a password in it.
    #[error("its URL has a user name or a password in it, which everybody sees who lists processes")]
    Secret,
    /// It is no URL.
    #[error("{0}")]
    Url(UrlError),
    /// The server answers something else.
    #[error("the server answers HTTP {0}")]
    Status(u16),
    /// The server does not answer.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The answer is not to be had that way.
    #[error("the server {0}")]
    Refused(Reason),
    /// Certificates cannot be read.
    #[error(transparent)]
    Certificates(PullError),
}

/// Opens a text for reading: redirects are followed, up to five and never from `https` to `http`. The reader fails when
/// all of it takes longer than five minutes.
///
/// # Errors
/// When the server does not give it.
pub fn open_text(url: &str, certificates: &[PathBuf]) -> Result<Box<dyn Read>, TextError> {
    let url = Url::parse(url).map_err(|error| match error {
        UrlError::Secret => TextError::Secret,
        error => TextError::Url(error),
    })?;
    let client = Client::new(certificates).map_err(TextError::Certificates)?;
    let request = Request { accept: "*/*", ..Request::default() };
    let deadline = Instant::now() + PATIENCE;
    let mut attempts = Attempts::default();
    loop {
        let (why, passing) = match client.send(&url, &request) {
            Ok(response) => match response.status().as_u16() {
                200 => {
                    let body = response.into_body().into_reader();
                    return Ok(Box::new(Until { deadline, inner: body }));
                }
                status => (TextError::Status(status), passes(status)),
            },
            Err(failure) => {
                let passing = matches!(failure, Failure::Passing(_));
                let why = match failure.reason() {
                    Reason::Unreachable(reason) => TextError::Unreachable(reason),
                    reason => TextError::Refused(reason),
                };
                (why, passing)
            }
        };
        match attempts.pause(None).filter(|_| passing) {
            Some(pause) => thread::sleep(pause),
            None => return Err(why),
        }
    }
}

/// A reader that fails from some moment on.
struct Until<R> {
    deadline: Instant,
    inner: R,
}

impl<R: Read> Read for Until<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() > self.deadline {
            let seconds = PATIENCE.as_secs();
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it takes longer than {seconds} seconds"),
            ));
        }
        self.inner.read(buffer)
    }
}
