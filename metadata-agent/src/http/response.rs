//! HTTP/1.1 responses (RFC 9112), decoded from bytes in whatever pieces they come. No I/O.
//!
//! Everything that the peer can make long has a bound: the head, the number of fields, chunk headers, the body.
//! What the answer is does not depend on how the bytes were cut.

use thiserror::Error;

/// Bytes of status line, header fields and trailers together, over all interim responses.
pub const MAX_HEAD: usize = 16 * 1024;
/// Header fields and trailers together.
pub const MAX_FIELDS: usize = 100;
/// Bytes of a chunk's size line with its extensions.
const MAX_CHUNK_LINE: usize = 256;
/// Interim (1xx) responses before the real one.
const MAX_INTERIM: usize = 8;

/// Why bytes are no response that we take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// The first line is no `HTTP/1.x NNN` status line.
    #[error("the answer is not HTTP/1.1")]
    NotHttp,
    /// Status line and header fields are longer than [`MAX_HEAD`].
    #[error("the answer's header is over the limit of {MAX_HEAD} bytes")]
    HeadTooLarge,
    /// More header fields than [`MAX_FIELDS`].
    #[error("the answer has more than {MAX_FIELDS} header fields")]
    TooManyFields,
    /// A header line is no `name: value`.
    #[error("header line {line} of the answer is malformed")]
    BadField {
        /// Counted from 1 for the status line.
        line: usize,
    },
    /// Content-Length is no number, or is there twice with different values, or beside Transfer-Encoding.
    #[error("the answer does not say clearly how long its body is")]
    BadLength,
    /// A transfer or content coding that was not asked for.
    #[error("the answer's body is encoded in a way that was not asked for")]
    UnsupportedCoding,
    /// A chunk without a proper size or end.
    #[error("the answer's chunked body is malformed")]
    BadChunk,
    /// The body is longer than the caller allows.
    #[error("{}, the limit is {limit} bytes", size_text(.declared, .limit))]
    BodyTooLarge {
        /// The length that the peer announced, if it did.
        declared: Option<u64>,
        /// The caller's limit.
        limit: usize,
    },
    /// The peer closed the connection before the end.
    #[error("the answer ends too early, after {got} bytes of its body")]
    Truncated {
        /// Body bytes received.
        got: usize,
    },
}

fn size_text(declared: &Option<u64>, limit: &usize) -> String {
    match declared {
        Some(size) => format!("{size} bytes are too many"),
        None => format!("more than {limit} bytes are too many"),
    }
}

/// A response's status and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Three-digit status code.
    pub status: u16,
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

/// What the header fields say about the body.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
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
            State::Done | State::ToEnd => Ok(Response { status: self.status, body: self.body }),
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
        self.state = State::Fields;
        Ok(true)
    }

    fn field_line(&mut self) -> Result<bool, ResponseError> {
        let Some(line) = self.head_line()? else { return Ok(false) };
        if !line.is_empty() {
            let (name, value) = self.field(&line)?;
            self.framing.apply(&name, value)?;
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
            200 => self.body_state()?,
            _ => State::Done,
        };
        Ok(true)
    }

    fn body_state(&self) -> Result<State, ResponseError> {
        match (self.framing.chunked, self.framing.length) {
            (true, Some(_)) => Err(ResponseError::BadLength),
            (true, None) => Ok(State::ChunkSize),
            (false, Some(0)) => Ok(State::Done),
            (false, Some(size)) if size > self.body_limit as u64 => {
                Err(ResponseError::BodyTooLarge { declared: Some(size), limit: self.body_limit })
            }
            (false, Some(left)) => Ok(State::Length { left }),
            (false, None) => Ok(State::ToEnd),
        }
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

impl Framing {
    fn apply(&mut self, name: &str, value: &[u8]) -> Result<(), ResponseError> {
        match name {
            "content-length" => {
                let length = parse_number(value, 10).ok_or(ResponseError::BadLength)?;
                if self.length.replace(length).is_some_and(|earlier| earlier != length) {
                    return Err(ResponseError::BadLength);
                }
            }
            "transfer-encoding" => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(ResponseError::UnsupportedCoding);
                }
                self.chunked = true;
            }
            "content-encoding" if !value.eq_ignore_ascii_case(b"identity") => {
                return Err(ResponseError::UnsupportedCoding);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether `bytes`, as far as they go, begin with `prefix`.
fn prefix_fits(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.iter().zip(prefix).all(|(a, b)| a == b)
}

/// `HTTP/1.x NNN[ reason]` (RFC 9112, 4).
fn parse_status_line(line: &[u8]) -> Option<u16> {
    let [minor, b' ', a, b, c, rest @ ..] = line.strip_prefix(b"HTTP/1.")? else { return None };
    let reason_apart = rest.is_empty() || rest.starts_with(b" ");
    let status = u16::try_from(parse_number(&[*a, *b, *c], 10)?).ok()?;
    (minor.is_ascii_digit() && reason_apart && status >= 100).then_some(status)
}

/// `name: value` (RFC 9112, 5), the name in lower case, the value without space around it.
fn parse_field(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|&b| b == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    if name.is_empty() || !name.iter().all(token) {
        return None;
    }
    if value.iter().any(|&b| b != b'\t' && b.is_ascii_control()) {
        return None;
    }
    let name = String::from_utf8(name.to_ascii_lowercase()).ok()?;
    Some((name, value.trim_ascii()))
}

/// Digits alone: no sign, no space, at least one.
fn parse_number(digits: &[u8], radix: u32) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(|&b| char::from(b).is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 1000;

    fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Response, ResponseError> {
        let mut decoder = Decoder::new(LIMIT);
        for piece in pieces {
            if decoder.push(piece)? {
                break;
            }
        }
        decoder.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Response, ResponseError> {
        let whole = decode_pieces([bytes]);
        assert_eq!(decode_pieces(bytes.chunks(1)), whole, "byte by byte gives something else");
        whole
    }

    fn body(text: &str) -> Result<(u16, String), ResponseError> {
        decode(text.as_bytes()).map(|r| (r.status, String::from_utf8(r.body).unwrap()))
    }

    #[test]
    fn bodies_are_read_in_every_framing_that_http_has() {
        let cases = [
            ("length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
            (
                "twice the same length",
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nContent-Length:2\r\n\r\nhi",
                "hi",
            ),
            ("bytes after the end", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi there", "hi"),
            ("no length", "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nto the end", "to the end"),
            ("no reason, bare LF", "HTTP/1.1 200\n\nx", "x"),
            ("empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
            (
                "chunked",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                "abc0123456789",
            ),
            (
                "trailers",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n",
                "a",
            ),
            ("after an interim response", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", "x"),
        ];
        for (name, text, wanted) in cases {
            assert_eq!(body(text), Ok((200, wanted.to_owned())), "{name}");
        }
    }

    #[test]
    fn the_body_of_anything_but_200_is_left_unread() {
        let huge = format!("HTTP/1.1 404 Not Found\r\nContent-Length: 99999\r\n\r\n{}", "x".repeat(5000));
        assert_eq!(body(&huge), Ok((404, String::new())));
        assert_eq!(body("HTTP/1.1 204 No Content\r\n\r\n"), Ok((204, String::new())));
    }

    #[test]
    fn what_is_malformed_or_too_large_is_refused() {
        let too_large = |declared| ResponseError::BodyTooLarge { declared, limit: LIMIT };
        let cases = [
            ("", ResponseError::NotHttp),
            ("SSH-2.0-OpenSSH_9.2\r\n", ResponseError::NotHttp),
            ("HTTP/2 200\r\n\r\n", ResponseError::NotHttp),
            ("HTTP/1.1 20\r\n\r\n", ResponseError::NotHttp),
            ("HTTP/1.1 200OK\r\n\r\n", ResponseError::NotHttp),
            ("HTTP/1.1 +20 OK\r\n\r\n", ResponseError::NotHttp),
            ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", ResponseError::BadField { line: 2 }),
            ("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", ResponseError::BadField { line: 3 }),
            ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", ResponseError::BadField { line: 2 }),
            ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", ResponseError::BadField { line: 2 }),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ResponseError::BadLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", ResponseError::BadLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", ResponseError::BadLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ResponseError::BadLength),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                ResponseError::BadLength,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", ResponseError::UnsupportedCoding),
            ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", ResponseError::UnsupportedCoding),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", too_large(Some(1001))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n", too_large(Some(10_485_760))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", ResponseError::Truncated { got: 2 }),
            ("HTTP/1.1 200 OK\r\nContent-Le", ResponseError::Truncated { got: 0 }),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
                ResponseError::Truncated { got: 2 },
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", ResponseError::BadChunk),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", ResponseError::BadChunk),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
                ResponseError::BadChunk,
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(body(text), Err(wanted), "{text:?}");
        }
    }

    #[test]
    fn endless_things_end_at_their_limit() {
        let head = "HTTP/1.1 200 OK\r\n";
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        let cases = [
            (format!("{head}{}", "A: b\r\n".repeat(200)), ResponseError::TooManyFields),
            (
                format!("{head}{}", format!("A: {}\r\n", "b".repeat(1000)).repeat(20)),
                ResponseError::HeadTooLarge,
            ),
            (format!("{head}A: {}", "b".repeat(20_000)), ResponseError::HeadTooLarge),
            (format!("HTTP/1.1 200 {}", "O".repeat(20_000)), ResponseError::HeadTooLarge),
            ("HTTP/1.1 100 Continue\r\n\r\n".repeat(20), ResponseError::NotHttp),
            (
                format!("{head}\r\n{}", "x".repeat(1001)),
                ResponseError::BodyTooLarge { declared: None, limit: LIMIT },
            ),
            (
                format!("{chunked}{}", "64\r\n".to_owned() + &"x".repeat(100) + "\r\n").repeat(1),
                ResponseError::Truncated { got: 100 },
            ),
            (
                format!("{chunked}{}", format!("64\r\n{}\r\n", "x".repeat(100)).repeat(11)),
                ResponseError::BodyTooLarge { declared: None, limit: LIMIT },
            ),
            (format!("{chunked}1;{}", "x".repeat(300)), ResponseError::BadChunk),
            (format!("{chunked}0\r\n{}", "A: b\r\n".repeat(200)), ResponseError::TooManyFields),
        ];
        for (text, wanted) in cases {
            assert_eq!(body(&text), Err(wanted), "{:?}", &text[..60]);
        }
    }

    #[test]
    fn a_body_over_the_limit_is_named_with_its_size_when_that_is_known() {
        let known = ResponseError::BodyTooLarge { declared: Some(10_485_760), limit: 65_536 };
        assert_eq!(known.to_string(), "10485760 bytes are too many, the limit is 65536 bytes");
        let unknown = ResponseError::BodyTooLarge { declared: None, limit: 65_536 };
        assert_eq!(unknown.to_string(), "more than 65536 bytes are too many, the limit is 65536 bytes");
    }

    /// Bytes that look enough like HTTP to get past the first line.
    fn http_like() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
            Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
            Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
            (0..2000_u32).prop_map(|n| format!("Content-Length: {n}\r\n").into_bytes()),
            (0..300_u32).prop_map(|n| format!("{n:x}\r\n").into_bytes()),
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..400),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| {
            let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
            bytes.extend(pieces.concat());
            bytes
        })
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(bytes in http_like(), sizes in proptest::collection::vec(1..500_usize, 1..20)) {
            let whole = decode_pieces([bytes.as_slice()]);
            let mut pieces = Vec::new();
            let mut rest = bytes.as_slice();
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break }
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(decode_pieces(pieces), whole);
        }

        #[test]
        fn any_bytes_at_all_end_in_an_answer_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            if let Ok(response) = decode_pieces([bytes.as_slice()]) {
                prop_assert!(response.body.len() <= LIMIT);
            }
        }

        #[test]
        fn a_chunked_body_arrives_whole(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..100), 0..9)) {
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for chunk in &chunks {
                bytes.extend(format!("{:X}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            prop_assert_eq!(decode_pieces(bytes.chunks(7)).map(|r| r.body), Ok(chunks.concat()));
        }
    }
}
