//! Asking the supervisor.

use std::io::{BufRead, BufReader, Read, Write};
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
    Connect(#[source] std::io::Error),
    /// The conversation broke off.
    #[error("the supervisor did not answer")]
    Talk(#[source] std::io::Error),
    /// The answer is not one.
    #[error("the supervisor's answer was not understood")]
    Answer(#[source] serde_json::Error),
}

/// Sends `request` and waits for the answer.
pub fn ask(request: &Request) -> Result<Answer, AskError> {
    let mut stream = UnixStream::connect(SOCKET).map_err(AskError::Connect)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(AskError::Talk)?;
    let mut line = serde_json::to_vec(request).map_err(AskError::Answer)?;
    line.push(b'\n');
    stream.write_all(&line).map_err(AskError::Talk)?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_LIMIT)).read_line(&mut answer).map_err(AskError::Talk)?;
    serde_json::from_str(&answer).map_err(AskError::Answer)
}

/// Seconds since 1970; 0 on a machine whose clock is before that.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
