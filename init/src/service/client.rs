//! Asking the supervisor.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime};

use super::protocol::{ANSWER_LIMIT, Answer, Request, SOCKET};

/// Stopping a service takes its grace, and a start takes its time; the supervisor's own limits are shorter.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("cannot reach the supervisor on {SOCKET} (are you root, and in the host's namespace?)")]
    Connect(#[source] io::Error),
    /// The conversation broke off.
    #[error("the supervisor did not answer")]
    Talk(#[source] io::Error),
    /// It ended in the middle.
    #[error("the supervisor ended the conversation: it was stopped, or you read too slowly")]
    BrokenOff,
    /// The answer is not one.
    #[error("the supervisor's answer was not understood")]
    Answer(#[source] serde_json::Error),
}

/// A question that was asked, and its answers.
#[derive(Debug)]
pub struct Conversation(BufReader<UnixStream>);

impl Conversation {
    /// Sends `request`.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn begin(request: &Request) -> Result<Self, AskError> {
        let mut stream = UnixStream::connect(SOCKET).map_err(AskError::Connect)?;
        // What is followed may be silent for ever.
        let follows = match request {
            Request::Logs(query) => query.follow,
            Request::Events { follow } => *follow,
            _ => false,
        };
        stream.set_read_timeout((!follows).then_some(PATIENCE)).map_err(AskError::Talk)?;
        let mut line = serde_json::to_vec(request).map_err(AskError::Answer)?;
        line.push(b'\n');
        stream.write_all(&line).map_err(AskError::Talk)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The next answer.
    ///
    /// # Errors
    /// When there is none, or what comes is none.
    pub fn next(&mut self) -> Result<Answer, AskError> {
        let mut line = Vec::new();
        (&mut self.0).take(ANSWER_LIMIT).read_until(b'\n', &mut line).map_err(AskError::Talk)?;
        if line.is_empty() {
            return Err(AskError::BrokenOff);
        }
        serde_json::from_slice(&line).map_err(AskError::Answer)
    }
}

/// Sends `request` and waits for the answer.
///
/// # Errors
/// When there is none, or what comes is none.
pub fn ask(request: &Request) -> Result<Answer, AskError> {
    Conversation::begin(request)?.next()
}

/// Seconds since 1970; 0 on a machine whose clock is before that.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
