//! HTTP/1.1 responses (RFC 9112), decoded from bytes in whatever pieces they come. No I/O.
//!
//! Everything that the peer can make long has a bound: the head, the number of fields, chunk headers, the body.
//! What the answer is does not depend on how the bytes were cut.

mod error;
mod framing;
mod syntax;
#[cfg(test)]
mod tests;

use framing::{Framing, Length};
use syntax::{parse_field, parse_number, parse_status_line, prefix_fits};

pub use error::ResponseError;

/// Bytes of status line, header fields and trailers together, over all interim responses.
pub const MAX_HEAD: usize = 16 * 1024;
/// Header fields and trailers together.
pub const MAX_FIELDS: usize = 100;
/// Bytes of a chunk's size line with its extensions.
const MAX_CHUNK_LINE: usize = 256;
/// Interim (1xx) responses before the real one.
const MAX_INTERIM: usize = 8;

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Three-digit status code.
    pub status: u16,
    /// Names, in lower case, and values of its header fields, without trailers.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body of a 200; of every other status it is left unread and this is empty.
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Status,
    Fields,
    Length { left: u64 },
    ChunkSize,
    ChunkData { left: u64 },
    ChunkEnd,
    Trailers,
    ToEnd,
    Done,
}

/// Takes a response's bytes as they arrive.
#[derive(Debug)]
pub struct Decoder {
    body_limit: usize,
    state: State,
    pending: Vec<u8>,
    head_left: usize,
    lines: usize,
    fields: usize,
    kept: Vec<(String, Vec<u8>)>,
    interim: usize,
    status: u16,
    framing: Framing,
    body: Vec<u8>,
}

impl Decoder {
    /// A decoder for one response whose body may have `body_limit` bytes.
    #[must_use]
    pub fn new(body_limit: usize) -> Self {
        Self {
            body_limit,
            state: State::Status,
            pending: Vec::new(),
            head_left: MAX_HEAD,
            lines: 0,
            fields: 0,
            kept: Vec::new(),
            interim: 0,
            status: 0,
            framing: Framing::default(),
            body: Vec::new(),
        }
    }

    /// Takes the next bytes and says whether the response is complete. Bytes after its end are ignored.
    ///
    /// # Errors
    /// [`ResponseError`] as soon as the bytes cannot become a response within the limits.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool, ResponseError> {
        self.pending.extend_from_slice(bytes);
        while self.state != State::Done && self.step()? {}
        Ok(self.state == State::Done)
    }

    /// Whether anything of a response has arrived.
    #[must_use]
    pub fn started(&self) -> bool {
        self.lines > 0 || !self.pending.is_empty()
    }

    /// The peer has closed, or the response is complete: hands it out.
    ///
    /// # Errors
    /// [`ResponseError::Truncated`] when more bytes were announced, [`ResponseError::NotHttp`] when nothing came.
    pub fn finish(self) -> Result<Response, ResponseError> {
        match self.state {
            State::Done | State::ToEnd => {
                Ok(Response { status: self.status, fields: self.kept, body: self.body })
            }
            State::Status => Err(ResponseError::NotHttp),
            _ => Err(ResponseError::Truncated { got: self.body.len() }),
        }
    }

    /// One step of the state machine; false when it needs more bytes.
    fn step(&mut self) -> Result<bool, ResponseError> {
        match self.state {
            State::Status => self.status_line(),
            State::Fields => self.field_line(),
            State::Length { left } => self.data(left, |left| match left {
                0 => State::Done,
                left => State::Length { left },
            }),
            State::ChunkSize => self.chunk_size(),
            State::ChunkData { left } => self.data(left, |left| match left {
                0 => State::ChunkEnd,
                left => State::ChunkData { left },
            }),
            State::ChunkEnd => self.chunk_end(),
            State::Trailers => self.trailer_line(),
            State::ToEnd => self.data(u64::MAX, |_| State::ToEnd),
            State::Done => Ok(false),
        }
    }

    fn status_line(&mut self) -> Result<bool, ResponseError> {
        if !prefix_fits(&self.pending, b"HTTP/1.") {
            return Err(ResponseError::NotHttp);
        }
        let Some(line) = self.head_line()? else { return Ok(false) };
        self.status = parse_status_line(&line).ok_or(ResponseError::NotHttp)?;
        self.framing = Framing::default();
        self.kept.clear();
        self.state = State::Fields;
        Ok(true)
    }

    fn field_line(&mut self) -> Result<bool, ResponseError> {
        let Some(line) = self.head_line()? else { return Ok(false) };
        if !line.is_empty() {
            let (name, value) = self.field(&line)?;
            self.framing.apply(&name, value)?;
            self.kept.push((name, value.to_vec()));
            return Ok(true);
        }
        self.state = match self.status {
            100..=199 => {
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Err(ResponseError::NotHttp);
                }
                State::Status
            }
            200 => match self.framing.body(self.body_limit)? {
                Length::Known(0) => State::Done,
                Length::Known(left) => State::Length { left },
                Length::Chunked => State::ChunkSize,
                Length::ToEnd => State::ToEnd,
            },
            _ => State::Done,
        };
        Ok(true)
    }

    fn trailer_line(&mut self) -> Result<bool, ResponseError> {
        let Some(line) = self.head_line()? else { return Ok(false) };
        if line.is_empty() {
            self.state = State::Done;
        } else {
            self.field(&line)?;
        }
        Ok(true)
    }

    fn chunk_size(&mut self) -> Result<bool, ResponseError> {
        let Some(line) = self.line(MAX_CHUNK_LINE).map_err(|TooLong| ResponseError::BadChunk)? else {
            return Ok(false);
        };
        let digits = line.split(|&b| b == b';').next().unwrap_or_default().trim_ascii_end();
        let size = parse_number(digits, 16).ok_or(ResponseError::BadChunk)?;
        self.state = if size == 0 { State::Trailers } else { State::ChunkData { left: size } };
        Ok(true)
    }

    fn chunk_end(&mut self) -> Result<bool, ResponseError> {
        let Some(line) = self.line(2).map_err(|TooLong| ResponseError::BadChunk)? else { return Ok(false) };
        if !line.is_empty() {
            return Err(ResponseError::BadChunk);
        }
        self.state = State::ChunkSize;
        Ok(true)
    }

    /// Moves up to `left` pending bytes to the body.
    fn data(&mut self, left: u64, next: impl Fn(u64) -> State) -> Result<bool, ResponseError> {
        if self.pending.is_empty() {
            return Ok(false);
        }
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.pending.len());
        if self.body.len() + take > self.body_limit {
            return Err(ResponseError::BodyTooLarge { declared: None, limit: self.body_limit });
        }
        self.body.extend(self.pending.drain(..take));
        self.state = next(left - take as u64);
        Ok(true)
    }

    /// The next line of the head, which together must stay within [`MAX_HEAD`].
    fn head_line(&mut self) -> Result<Option<Vec<u8>>, ResponseError> {
        let before = self.pending.len();
        let line = self.line(self.head_left).map_err(|TooLong| ResponseError::HeadTooLarge)?;
        if line.is_some() {
            self.head_left -= before - self.pending.len();
            self.lines += 1;
        }
        Ok(line)
    }

    /// The next line of at most `limit` bytes with its end, without its end (CR LF, or LF alone: RFC 9112, 2.2).
    fn line(&mut self, limit: usize) -> Result<Option<Vec<u8>>, TooLong> {
        let end = self.pending.iter().take(limit).position(|&b| b == b'\n');
        let Some(end) = end else {
            return if self.pending.len() >= limit { Err(TooLong) } else { Ok(None) };
        };
        let mut line: Vec<u8> = self.pending.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(line))
    }

    fn field<'a>(&mut self, line: &'a [u8]) -> Result<(String, &'a [u8]), ResponseError> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(ResponseError::TooManyFields);
        }
        parse_field(line).ok_or(ResponseError::BadField { line: self.lines })
    }
}

/// A line is longer than it may be.
struct TooLong;
