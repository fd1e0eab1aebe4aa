//! MIME multipart (RFC 2045, 2046): several forms in one, as cloud-init's users send it.

use thiserror::Error;

use super::{Form, Gathering, Why, base64, cloud_config, script};

pub(super) const FORM: Form = Form { fits, read };

/// Parts of all levels of one multipart document.
const MAX_PARTS: usize = 64;
/// Longest header of a part, in bytes.
const MAX_HEADER: usize = 8 * 1024;
/// Longest boundary (RFC 2046, 5.1.1), in bytes.
const MAX_BOUNDARY: usize = 70;

/// Types whose parts are another program's to act on.
const OTHERS: &[&str] = &[
    "text/x-include-url",
    "text/x-include-once-url",
    "text/cloud-boothook",
    "text/cloud-config-archive",
    "text/cloud-config-jsonp",
    "text/part-handler",
    "text/jinja2",
    "text/upstart-job",
];

/// What is wrong with a multipart document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Wrong {
    /// Nothing tells parts apart.
    #[error("multipart without a boundary of 1 to {MAX_BOUNDARY} characters")]
    Boundary,
    /// A header without end.
    #[error("a header longer than {MAX_HEADER} bytes or without an empty line after it")]
    Header,
    /// Parts.
    #[error("more than {MAX_PARTS} parts")]
    Parts,
    /// Cut off.
    #[error("the last boundary is missing: it was cut off")]
    Cut,
    /// An encoding of parts that does not exist.
    #[error("unknown Content-Transfer-Encoding")]
    Encoding,
}

/// A part of a document, or all of it.
struct Part<'a> {
    kind: String,
    boundary: Option<String>,
    encoding: String,
    name: Option<String>,
    body: &'a [u8],
}

fn fits(bytes: &[u8]) -> bool {
    let begins = |word: &[u8]| bytes.get(..word.len()).is_some_and(|b| b.eq_ignore_ascii_case(word));
    begins(b"content-type: multipart/") || begins(b"mime-version:")
}

fn read(bytes: &[u8], gathering: &mut Gathering) {
    match parse(bytes) {
        Ok(part) => {
            let mut number = 0;
            take(&part, &mut number, gathering);
        }
        Err(wrong) => gathering.refuse(&[], wrong),
    }
}

/// Takes one part; `number` counts them.
fn take(part: &Part<'_>, number: &mut usize, gathering: &mut Gathering) {
    if !part.kind.starts_with("multipart/") {
        return take_leaf(part, *number, gathering);
    }
    let Some(boundary) = &part.boundary else { return gathering.refuse(&[], Wrong::Boundary) };
    let (bodies, closed) = split(part.body, boundary);
    for body in bodies {
        *number += 1;
        if *number > MAX_PARTS {
            return gathering.refuse(&[], Wrong::Parts);
        }
        let key = format!("part {number}");
        gathering.read_at(&key, |gathering| match parse(body) {
            Ok(inner)
                if inner.kind.starts_with("multipart/") && gathering.path.len() > super::MAX_NESTING =>
            {
                gathering.refuse(&[], Why::Nested);
            }
            Ok(inner) => take(&inner, number, gathering),
            Err(wrong) => gathering.refuse(&[], wrong),
        });
    }
    if !closed {
        gathering.refuse(&["its end"], Wrong::Cut);
    }
}

fn take_leaf(part: &Part<'_>, number: usize, gathering: &mut Gathering) {
    let decoded = decode(part).and_then(|bytes| gathering.unpacked(bytes.len()).map(|()| bytes));
    let bytes = match decoded {
        Ok(bytes) => bytes,
        Err(why) => return gathering.refuse(&[], why),
    };
    match part.kind.as_str() {
        _ if bytes.trim_ascii().is_empty() => {}
        "text/cloud-config" => cloud_config::read(&bytes, gathering),
        "text/x-shellscript" => {
            let given = part.name.as_deref().filter(|name| crate::tree::Name::new(name).is_ok());
            let name = given.map_or_else(|| format!("part-{number:03}"), str::to_owned);
            script::keep(&bytes, &name, gathering);
        }
        kind if OTHERS.contains(&kind) => gathering.ignore(&[], "a part of a type that is not acted on here"),
        _ => gathering.read(&bytes),
    }
}

/// The bodies between boundaries, and whether the last boundary was there. Line ends before a boundary belong to it.
fn split<'a>(body: &'a [u8], boundary: &str) -> (Vec<&'a [u8]>, bool) {
    let mut bodies = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let end = at;
        at += line.len();
        let Some(rest) = line.strip_prefix(b"--").and_then(|l| l.strip_prefix(boundary.as_bytes())) else {
            continue;
        };
        let last = rest.starts_with(b"--");
        if !last && !rest.trim_ascii().is_empty() {
            continue;
        }
        if let Some(part) = start.and_then(|start| body.get(start..end)) {
            let part = part.strip_suffix(b"\n").unwrap_or(part);
            bodies.push(part.strip_suffix(b"\r").unwrap_or(part));
        }
        if last || bodies.len() > MAX_PARTS {
            return (bodies, true);
        }
        start = Some(at);
    }
    bodies.extend(start.and_then(|start| body.get(start..)));
    (bodies, false)
}

/// Reads headers, and what comes after them. Without any, it is text.
fn parse(bytes: &[u8]) -> Result<Part<'_>, Wrong> {
    let mut part = Part {
        kind: "text/plain".to_owned(),
        boundary: None,
        encoding: String::new(),
        name: None,
        body: bytes,
    };
    for (name, value) in headers(&mut part.body)? {
        match name.to_ascii_lowercase().as_str() {
            "content-type" => {
                part.kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                part.boundary = parameter(&value, "boundary");
                part.name = part.name.or_else(|| parameter(&value, "name"));
            }
            "content-transfer-encoding" => part.encoding = value.trim().to_ascii_lowercase(),
            "content-disposition" => part.name = parameter(&value, "filename").or(part.name),
            _ => {}
        }
    }
    let fits = |boundary: &String| (1..=MAX_BOUNDARY).contains(&boundary.len());
    part.boundary = part.boundary.filter(fits);
    Ok(part)
}

/// Names and values up to the empty line, which `rest` is moved behind. Lines that begin with a blank go on the one before.
fn headers(rest: &mut &[u8]) -> Result<Vec<(String, String)>, Wrong> {
    let whole = *rest;
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut end = 0;
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if end > MAX_HEADER {
            break;
        }
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            *rest = whole.get(end..).unwrap_or_default();
            return Ok(headers);
        }
        match (headers.last_mut(), text.starts_with([' ', '\t'])) {
            (Some((_, value)), true) => value.push_str(text),
            _ => {
                let (name, value) = text.split_once(':').ok_or(Wrong::Header)?;
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }
    Err(Wrong::Header)
}

/// The value of `; name=value` or `; name="value"`.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.to_owned())
    })
}

fn decode(part: &Part<'_>) -> Result<Vec<u8>, Why> {
    match part.encoding.as_str() {
        "" | "7bit" | "8bit" | "binary" => Ok(part.body.to_vec()),
        "base64" => base64::decode(part.body),
        "quoted-printable" => Ok(quoted_printable(part.body)),
        _ => Err(Wrong::Encoding.into()),
    }
}

/// Decodes quoted-printable (RFC 2045, 6.7); an `=` that begins nothing stays, as the RFC suggests.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'=', [b'\r', b'\n', after @ ..] | [b'\n', after @ ..]) => rest = after,
            (b'=', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    decoded.extend(u8::try_from(high << 4 | low));
                    rest = after;
                }
                _ => decoded.push(b'='),
            },
            _ => decoded.push(*first),
        }
    }
    decoded
}
