//! One blob on its way to a registry (OCI distribution-spec, "Pushing Blobs").
//!
//! All of it goes in one request. Where that breaks off, or is more than the registry takes at once, it goes in chunks,
//! from where the registry says that it stopped; a registry that has forgotten the upload gets another one.

use std::sync::atomic::{AtomicBool, Ordering};

use ureq::Body;
use ureq::http::{Method, Response, header};

use super::client::{Payload, Request, Upload};
use super::error::Reason;
use super::session::{Session, Trouble};
use super::url::{Scheme, Url};
use crate::http::retry::Attempts;
use crate::image::{Digest, VerifiedFile};

/// Bytes of a chunk, unless the registry wants more.
const CHUNK: u64 = 16 << 20;
/// Most bytes of a chunk that a registry may want.
const MAX_CHUNK: u64 = 1 << 30;
/// How often an upload that the registry has forgotten is begun anew.
const MAX_FORGOTTEN: usize = 3;
const BYTES: &str = "application/octet-stream";

/// An upload that a registry has agreed to.
struct Begun {
    /// Where the next bytes go.
    to: Url,
    /// How many it has.
    offset: u64,
    chunk: u64,
}

/// Sends a blob, unless the registry has it or can take it from one of these repositories. Says how many bytes went.
pub(super) fn upload(
    session: &Session<'_>,
    file: &VerifiedFile,
    sources: &[String],
    abandoned: &AtomicBool,
) -> Result<u64, Reason> {
    let mut attempts = Attempts::default();
    let mut begun: Option<Begun> = None;
    let (mut chunked, mut farthest, mut forgotten) = (false, 0, 0);
    loop {
        let trouble = match attempt(session, file, sources, &mut begun, chunked, abandoned) {
            Ok(sent) => return Ok(sent),
            Err(trouble) => trouble,
        };
        let sent = begun.as_ref().map_or(0, |begun| begun.offset);
        if sent > farthest {
            // Who starts over again and again makes no progress.
            farthest = sent;
            attempts.forget();
        }
        // Too large at once (RFC 9110, section 15.5.14).
        if matches!(trouble.reason, Reason::Status { status: 413, .. }) && !chunked {
            (chunked, begun) = (true, None);
            continue;
        }
        // It knew the upload when it agreed to it; and what it has of it may have been spoilt by the failure before, or by somebody
        // who sends the same blob: docker-registry then finds that the digest is not that of the content.
        if matches!(trouble.reason, Reason::Status { status: 400 | 404, .. })
            && begun.is_some()
            && forgotten < MAX_FORGOTTEN
        {
            forgotten += 1;
            begun = None;
            continue;
        }
        chunked = true;
        if !session.waits(&mut attempts, &trouble) {
            return Err(match trouble {
                Trouble { reason, passing: Some(_) } => Reason::Unsent {
                    digest: file.digest(),
                    sent: farthest,
                    size: file.len(),
                    reason: reason.to_string(),
                },
                trouble => trouble.reason,
            });
        }
    }
}

fn attempt(
    session: &Session<'_>,
    file: &VerifiedFile,
    sources: &[String],
    begun: &mut Option<Begun>,
    chunked: bool,
    abandoned: &AtomicBool,
) -> Result<u64, Trouble> {
    if let Some(at) = begun.take() {
        *begun = resumed(session, file, at)?;
    }
    if begun.is_none() {
        // Also after a failure: the answer may have been lost, and not the blob.
        if exists(session, file)? {
            return Ok(0);
        }
        match begin(session, file, sources)? {
            None => return Ok(0),
            new => *begun = new,
        }
    }
    let Some(at) = begun else { return Ok(0) };
    if !chunked {
        let whole = Payload::Stretch { file, offset: 0, len: file.len() };
        finish(session, file, &at.to, Some(Upload { kind: BYTES, begins: None, payload: whole }))?;
        return Ok(file.len());
    }
    while at.offset < file.len() {
        if abandoned.load(Ordering::Relaxed) {
            return Err(Reason::Abandoned.into());
        }
        let len = at.chunk.min(file.len() - at.offset);
        let payload = Payload::Stretch { file, offset: at.offset, len };
        let request = Request {
            method: Method::PATCH,
            upload: Some(Upload { kind: BYTES, begins: Some(at.offset), payload }),
            ..Request::default()
        };
        let response = session.exchange(&at.to, request, &[202])?;
        at.offset = match taken(&response) {
            Some(taken) if taken > at.offset && taken <= at.offset + len => taken,
            Some(taken) => {
                let reason =
                    format!("it has {taken} bytes after it was sent those up to {}", at.offset + len);
                return Err(Reason::Upload { digest: file.digest(), reason }.into());
            }
            None => at.offset + len,
        };
        at.to = location(&at.to, &response, file)?;
    }
    finish(session, file, &at.to, None)?;
    Ok(file.len())
}

/// Whether the registry has a blob in this repository, or takes it from another of its own.
pub(super) fn mounted(session: &Session<'_>, digest: Digest, source: Option<&str>) -> Result<bool, Reason> {
    let mut attempts = Attempts::default();
    loop {
        match mount_once(session, digest, source) {
            Err(trouble) if session.waits(&mut attempts, &trouble) => {}
            answer => return answer.map_err(|trouble| trouble.reason),
        }
    }
}

fn mount_once(session: &Session<'_>, digest: Digest, source: Option<&str>) -> Result<bool, Trouble> {
    let head = Request { method: Method::HEAD, ..Request::default() };
    let answer = session.exchange(&session.at(&format!("blobs/{digest}")), head, &[200, 404])?;
    let Some(source) = source.filter(|_| answer.status().as_u16() == 404) else {
        return Ok(answer.status().as_u16() == 200);
    };
    let url = session.at(&format!("blobs/uploads/?mount={digest}&from={source}"));
    let post = Request { method: Method::POST, ..Request::default() };
    // Who may not mount may still send the bytes.
    Ok(session.exchange(&url, post, &[201, 202]).is_ok_and(|answer| answer.status().as_u16() == 201))
}

/// Whether the registry has it.
fn exists(session: &Session<'_>, file: &VerifiedFile) -> Result<bool, Trouble> {
    let request = Request { method: Method::HEAD, ..Request::default() };
    let response =
        session.exchange(&session.at(&format!("blobs/{}", file.digest())), request, &[200, 404])?;
    Ok(response.status().as_u16() == 200)
}

/// Starts an upload; `None` if the registry could take the blob from one of these repositories instead.
fn begin(session: &Session<'_>, file: &VerifiedFile, sources: &[String]) -> Result<Option<Begun>, Trouble> {
    let request = || Request { method: Method::POST, ..Request::default() };
    let mut response = None;
    if let Some(source) = sources.first() {
        let url = session.at(&format!("blobs/uploads/?mount={}&from={source}", file.digest()));
        // Who may not read the other repository, or cannot mount, sends the bytes.
        if let Ok(answer) = session.exchange(&url, request(), &[201, 202]) {
            if answer.status().as_u16() == 201 {
                return Ok(None);
            }
            response = Some(answer);
        }
    }
    let url = session.at("blobs/uploads/");
    let response = match response {
        Some(response) => response,
        None => session.exchange(&url, request(), &[202])?,
    };
    let least = response.headers().get("oci-chunk-min-length").and_then(|value| value.to_str().ok());
    let least = least.and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Some(Begun {
        to: location(&url, &response, file)?,
        offset: 0,
        chunk: CHUNK.max(least).min(MAX_CHUNK),
    }))
}

/// Where an upload stands that broke off; `None` when the registry knows nothing of it any more.
fn resumed(session: &Session<'_>, file: &VerifiedFile, at: Begun) -> Result<Option<Begun>, Trouble> {
    let Ok(response) = session.exchange(&at.to, Request::default(), &[204]) else { return Ok(None) };
    let offset = taken(&response).unwrap_or(0);
    if offset > file.len() {
        return Ok(None);
    }
    let to = location(&at.to, &response, file).unwrap_or(at.to);
    Ok(Some(Begun { to, offset, chunk: at.chunk }))
}

fn finish(
    session: &Session<'_>,
    file: &VerifiedFile,
    to: &Url,
    upload: Option<Upload<'_>>,
) -> Result<(), Trouble> {
    let separator = if to.path().contains('?') { '&' } else { '?' };
    let url = to.at(&format!("{}{separator}digest={}", to.path(), file.digest()));
    let request = Request { method: Method::PUT, upload, ..Request::default() };
    session.exchange(&url, request, &[201, 204])?;
    Ok(())
}

/// Where the next request of an upload goes.
fn location(from: &Url, response: &Response<Body>, file: &VerifiedFile) -> Result<Url, Trouble> {
    let bad = |reason: String| Trouble::from(Reason::Upload { digest: file.digest(), reason });
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| bad("it names no address".into()))?;
    let url = from.join(location).map_err(|error| bad(format!("as to the address, {error}")))?;
    match (from.scheme(), url.scheme()) {
        (Scheme::Https, Scheme::Http) => Err(bad(format!("{url} is not encrypted"))),
        _ => Ok(url),
    }
}

/// How many bytes a registry has, by `Range: 0-LAST`.
fn taken(response: &Response<Body>) -> Option<u64> {
    bytes_of_range(response.headers().get(header::RANGE)?.to_str().ok()?)
}

/// The spec writes `0-LAST`, some write `bytes=0-LAST`; an upload without bytes is `0-0`, or `0--1`.
fn bytes_of_range(range: &str) -> Option<u64> {
    let last = range.trim().trim_start_matches("bytes=").strip_prefix("0-")?;
    match last {
        "-1" | "0" => Some(0),
        last => last.parse::<u64>().ok()?.checked_add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_how_much_was_taken() {
        for (range, bytes) in
            [("0-9", Some(10)), ("bytes=0-9", Some(10)), ("0-0", Some(0)), ("0--1", Some(0))]
        {
            assert_eq!(bytes_of_range(range), bytes, "{range}");
        }
        for other in ["", "9", "5-9", "0-x", "0-18446744073709551615"] {
            assert_eq!(bytes_of_range(other), None, "{other}");
        }
    }
}
