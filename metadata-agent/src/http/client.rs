//! One try: connect, send a request, read the answer, each within its time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::connect;
use super::request::Request;
use super::response::{Decoder, Response, ResponseError};

/// How long one try may take, whatever the total deadline leaves.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For the TCP connection. A link-local neighbour answers within milliseconds, and the kernel repeats a lost
    /// SYN after one second: three seconds forgive one loss.
    pub connect: Duration,
    /// From the connection to the last byte. Nova, busy with a hundred booting servers, takes seconds.
    pub answer: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), answer: Duration::from_secs(10) }
    }
}

/// Why one try brought no response.
#[derive(Debug, Error)]
pub enum TryError {
    /// The kernel has no way to send there: no route, no link, no address of its own.
    #[error("no route to host")]
    NoRoute,
    /// No connection, for reasons that came from the network.
    #[error("{}", reason(.0))]
    Connect(std::io::Error),
    /// The connection broke while it was used.
    #[error("the connection broke: {}", reason(.0))]
    Broken(std::io::Error),
    /// The peer closed the connection without a byte.
    #[error("the connection was closed without an answer")]
    Silent,
    /// The peer did not finish its answer in time.
    #[error("no complete answer within {} s", .0.as_secs_f32().ceil())]
    Slow(Duration),
    /// The answer is not one that we take.
    #[error(transparent)]
    Response(#[from] ResponseError),
}

/// The system's words for an error, as they go into the middle of a sentence.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        ErrorKind::NetworkDown => "network is down".to_owned(),
        ErrorKind::AddrNotAvailable => "no local address".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "no answer".to_owned(),
        _ => error.to_string(),
    }
}

/// Asks whichever of `addresses` takes the connection first, once, and says which it was. `connect_until` and
/// `answer_until` cut `timing` short.
///
/// # Errors
/// [`TryError`] for everything that is not a complete response of whatever status.
pub fn exchange(
    addresses: &[SocketAddr],
    request: Request<'_>,
    body_limit: usize,
    timing: Timing,
    connect_until: Instant,
    answer_until: Instant,
) -> Result<(Response, SocketAddr), TryError> {
    let connect_time = timing.connect.min(left(connect_until)).max(SHORTEST);
    let (mut stream, address) = connect::first(addresses, request.privileged_port, connect_time)?;
    let allowed = timing.answer.min(left(answer_until)).max(SHORTEST);
    let until = Instant::now() + allowed;
    stream.set_write_timeout(Some(allowed)).map_err(TryError::Broken)?;
    stream.write_all(request.encode(address).as_bytes()).map_err(|e| broken(e, allowed))?;
    Ok((receive(&mut stream, body_limit, until, allowed)?, address))
}

/// A socket's time limit must not be zero, which would mean none.
const SHORTEST: Duration = Duration::from_millis(1);

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

fn receive(
    stream: &mut TcpStream,
    body_limit: usize,
    until: Instant,
    allowed: Duration,
) -> Result<Response, TryError> {
    let mut decoder = Decoder::new(body_limit);
    let mut buffer = [0; 8192];
    loop {
        let time = left(until);
        if time.is_zero() {
            return Err(TryError::Slow(allowed));
        }
        stream.set_read_timeout(Some(time.max(SHORTEST))).map_err(TryError::Broken)?;
        let bytes = match stream.read(&mut buffer) {
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(broken(e, allowed)),
        };
        if bytes.is_empty() {
            return if decoder.started() { Ok(decoder.finish()?) } else { Err(TryError::Silent) };
        }
        if decoder.push(bytes)? {
            return Ok(decoder.finish()?);
        }
    }
}

fn broken(error: std::io::Error, allowed: Duration) -> TryError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => TryError::Slow(allowed),
        _ => TryError::Broken(error),
    }
}
