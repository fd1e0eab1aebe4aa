//! The bytes of a request → what it asks for.

use std::io::{self, BufRead};

/// The longest request, in bytes; a longer one is somebody's mistake or malice.
const MAX: u64 = 16 << 10;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The path with its percent signs resolved, `/` first.
    pub path: Vec<u8>,
    /// Whether only the header is wanted.
    pub head: bool,
}

/// Why there is no answer but a status.
#[derive(Debug)]
pub enum Refused {
    /// The connection is of no use.
    Io(io::Error),
    /// This status, in numbers and in words.
    Status(u16, &'static str),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a request up to the empty line at its end.
pub fn read(from: impl BufRead) -> Result<Request, Refused> {
    let mut from = from.take(MAX);
    let mut line = |first: bool| -> Result<Vec<u8>, Refused> {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line)?;
        match line.pop() {
            Some(b'\n') => {}
            // Whoever hangs up needs no answer.
            None if first => return Err(Refused::Io(io::ErrorKind::UnexpectedEof.into())),
            _ => return Err(Refused::Status(431, "Request Header Fields Too Large")),
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    };
    let first = line(true)?;
    while !line(false)?.is_empty() {}
    parse(&first)
}

fn parse(line: &[u8]) -> Result<Request, Refused> {
    let bad = Refused::Status(400, "Bad Request");
    let parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts[..] else { return Err(bad) };
    if !version.starts_with(b"HTTP/1.") {
        return Err(Refused::Status(505, "HTTP Version Not Supported"));
    }
    let head = match method {
        b"GET" => false,
        b"HEAD" => true,
        _ => return Err(Refused::Status(405, "Method Not Allowed")),
    };
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    match decode(path) {
        Some(path) if path.starts_with(b"/") && !path.contains(&0) => Ok(Request { path, head }),
        _ => Err(bad),
    }
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits =
            std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(bytes: &[u8]) -> Result<(String, bool), u16> {
        match read(bytes) {
            Ok(Request { path, head }) => Ok((String::from_utf8(path).unwrap(), head)),
            Err(Refused::Status(status, _)) => Err(status),
            Err(Refused::Io(_)) => Err(0),
        }
    }

    #[test]
    fn what_is_asked_for_is_read() {
        for (line, expected) in [
            ("GET / HTTP/1.1", Ok(("/", false))),
            ("HEAD /a/b.img?x=1 HTTP/1.0", Ok(("/a/b.img", true))),
            ("GET /a%20b%2fc HTTP/1.1", Ok(("/a b/c", false))),
            ("GET a HTTP/1.1", Err(400)),
            ("GET /%00 HTTP/1.1", Err(400)),
            ("GET /%4 HTTP/1.1", Err(400)),
            ("GET /%+1 HTTP/1.1", Err(400)),
            ("GET /", Err(400)),
            ("POST / HTTP/1.1", Err(405)),
            ("GET / HTTP/2", Err(505)),
        ] {
            let request = format!("{line}\r\nHost: a\r\nRange: bytes=0-\r\n\r\n");
            let expected = expected.map(|(path, head): (&str, bool)| (path.to_owned(), head));
            assert_eq!(outcome(request.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn a_request_without_end_is_given_up() {
        assert_eq!(outcome(b""), Err(0));
        let long = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'x'; 20 << 10], b"\r\n\r\n"].concat();
        assert_eq!(outcome(&long), Err(431));
        let many = [b"GET / HTTP/1.1\r\n".as_slice(), &b"A: b\r\n".repeat(10_000)].concat();
        assert_eq!(outcome(&many), Err(431));
    }
}
