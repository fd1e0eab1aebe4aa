//! One blob on its way into the cache.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::Body;
use ureq::http::{Response, header};

use super::client::classify_io;
use super::error::Reason;
use super::session::{Session, Trouble};
use crate::http::retry::Attempts;
use crate::image::blobs::{Directories, NewFile};
use crate::image::digest::Hashing;
use crate::image::{Digest, ImageError, VerifiedFile};

/// Bytes that are received at a time.
const CHUNK: usize = 128 << 10;
/// So many bytes make failures before them forgotten.
const PROGRESS: u64 = 4 << 20;

/// What is wanted, and what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// `layer`, `configuration`, `manifest`.
    pub(super) what: &'static str,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// Brings a blob into the cache, unless the cache has it undamaged. It is verified while it comes; where the
/// connection breaks, it goes on. Says how many bytes came.
pub(super) fn download(
    session: &Session<'_>,
    dirs: &Directories,
    wanted: &Wanted,
    accept: &str,
    abandoned: &AtomicBool,
) -> Result<u64, Reason> {
    let Wanted { what, digest, size } = *wanted;
    let path = dirs.blob(digest);
    let _making = loop {
        if VerifiedFile::open(&path, digest, Some(size)).is_ok() {
            count(session, wanted, size);
            return Ok(0);
        }
        let mut waits =
            || session.say(&format!("{what} {digest} is being brought by another lkb; waiting for it"));
        if let Some(making) = dirs.lock_making(digest, &mut waits)? {
            break making;
        }
    };
    let mut part = Hashing::new(dirs.create().map_err(Reason::from)?);
    let mut attempts = Attempts::default();
    let mut before = 0;
    while let Err(trouble) = receive(session, dirs, wanted, accept, &mut part, abandoned) {
        if part.len() >= before + PROGRESS {
            attempts.forget();
        }
        // The most there ever was: who starts over again and again makes no progress.
        before = part.len().max(before);
        if session.waits(&mut attempts, &trouble) {
            continue;
        }
        return Err(match trouble {
            Trouble { reason, passing: Some(_) } if !part.is_empty() => {
                let (received, reason) = (part.len(), reason.to_string());
                Reason::Interrupted { what, digest, received, expected: size, reason }
            }
            trouble => trouble.reason,
        });
    }
    let (file, actual, len) = part.finish();
    if actual != digest {
        return Err(Reason::Digest { what, digest, actual });
    }
    file.publish(&path)?;
    Ok(len)
}

/// Receives what is missing, or as much of it as comes.
fn receive(
    session: &Session<'_>,
    dirs: &Directories,
    wanted: &Wanted,
    accept: &str,
    part: &mut Hashing<NewFile>,
    abandoned: &AtomicBool,
) -> Result<(), Trouble> {
    let Wanted { what, digest, size } = *wanted;
    let kind = if what == "manifest" { "manifests" } else { "blobs" };
    let response = session.get_once(&format!("{kind}/{digest}"), accept, part.len())?;
    if !continues(&response, part.len()) {
        // All of it comes once more.
        if what == "layer" {
            session.meter.lose(part.len());
        }
        *part = Hashing::new(dirs.create().map_err(Reason::from)?);
    }
    let announced = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if let Some(announced) = announced.and_then(|text| text.parse::<u64>().ok())
        && announced != size - part.len()
    {
        let found = part.len().saturating_add(announced);
        return Err(Reason::Size { what, digest, found, expected: size }.into());
    }
    let mut body = response.into_body().into_reader();
    let mut chunk = vec![0; CHUNK];
    while part.len() < size {
        if abandoned.load(Ordering::Relaxed) {
            return Err(Reason::Abandoned.into());
        }
        let most = usize::try_from(size - part.len()).unwrap_or(CHUNK).min(CHUNK);
        let n = body.read(&mut chunk[..most]).map_err(|error| Trouble::from(classify_io(&error)))?;
        if n == 0 {
            return Err(Trouble {
                reason: Reason::Unreachable("it ended early".into()),
                passing: Some(None),
            });
        }
        let path = dirs.blob(digest);
        part.write_all(&chunk[..n])
            .map_err(|error| Reason::from(ImageError::io("write the blob for", &path)(error)))?;
        count(session, wanted, n as u64);
    }
    // The end must be seen for the connection to be used again; if it cannot be, there is another one.
    match body.read(&mut chunk[..1]) {
        Ok(0) | Err(_) => Ok(()),
        Ok(_) => Err(Reason::Size { what, digest, found: size + 1, expected: size }.into()),
    }
}

/// Counts what has come of a layer; all else is little, and of unknown size when it begins.
fn count(session: &Session<'_>, wanted: &Wanted, bytes: u64) {
    if wanted.what == "layer" {
        session.meter.receive(bytes);
    }
}

/// Whether an answer starts where we have stopped.
fn continues(response: &Response<Body>, offset: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    match response.status().as_u16() {
        206 => range.and_then(first_byte) == Some(offset),
        _ => offset == 0,
    }
}

/// The first number of `bytes FIRST-LAST/SIZE`.
fn first_byte(range: &str) -> Option<u64> {
    range.trim().strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_where_it_starts() {
        assert_eq!(first_byte("bytes 5-9/10"), Some(5));
        for other in ["", "bytes", "bytes */10", "lines 5-9/10", "bytes -9/10"] {
            assert_eq!(first_byte(other), None, "{other}");
        }
    }
}
