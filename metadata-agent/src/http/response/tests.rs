//! The decoder from the outside: bytes in, a response or an error out.

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
        ("twice the same length", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nContent-Length:2\r\n\r\nhi", "hi"),
        ("bytes after the end", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi there", "hi"),
        ("no length", "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nto the end", "to the end"),
        ("no reason, bare LF", "HTTP/1.1 200\n\nx", "x"),
        ("empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (
            "chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
            "abc0123456789",
        ),
        ("trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n", "a"),
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
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", ResponseError::Truncated { got: 2 }),
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
        (format!("{head}{}", format!("A: {}\r\n", "b".repeat(1000)).repeat(20)), ResponseError::HeadTooLarge),
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
