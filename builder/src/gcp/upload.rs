//! An object in a bucket, in parts that are resumed.
//!
//! Source: Cloud Storage's documentation, "Perform resumable uploads": a session is begun, the bytes go to its address
//! part by part, 308 says how many are there, and after a failure the session is asked. A session that is lost is begun
//! anew. The checksum goes ahead, so an object that differs never comes into being.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use ureq::http::Method;

use super::{Cloud, GcpError};
use crate::crc32c::Crc32c;
use crate::event::{Event, Work};
use crate::http::retry::{Attempts, passes};
use crate::http::{Answer, Body, Request, Trouble, encoded, form, origin};

/// Bytes in a part, a multiple of 256 KiB. What is lost when the connection breaks is at most that.
const PART: u64 = 16 << 20;
/// How often a session that is lost is begun anew.
const SESSIONS: u32 = 3;

/// What is uploaded.
pub(crate) struct Source<'a> {
    /// The file.
    pub(crate) file: &'a File,
    /// Its name, for errors.
    pub(crate) path: &'a Path,
    /// Its length in bytes.
    pub(crate) len: u64,
    /// Told of progress.
    pub(crate) tell: &'a dyn Fn(Event<'_>),
}

/// An object as Cloud Storage shows it.
#[derive(Debug, Deserialize)]
struct Object {
    size: String,
    crc32c: String,
}

/// How far a session is.
#[derive(Debug)]
enum State {
    /// Cloud Storage has this many bytes.
    Has(u64),
    /// It has all.
    Whole(Object),
    /// It does not know the session any more.
    Lost,
}

/// The checksum of a file as Cloud Storage writes it: big-endian, in base64.
fn checksum(mut file: &File) -> io::Result<String> {
    let mut crc = Crc32c::new();
    io::copy(&mut file, &mut crc)?;
    Ok(STANDARD.encode(crc.sum().to_be_bytes()))
}

/// Uploads a file as an object, `public` to everybody or not.
pub(crate) fn upload(
    cloud: &Cloud,
    bucket: &str,
    object: &str,
    public: bool,
    source: &Source<'_>,
) -> Result<(), GcpError> {
    let read = |error| GcpError::Read { path: source.path.to_owned(), source: error };
    let crc = checksum(source.file).map_err(read)?;
    let (work, action) = (Work::Upload, format!("upload gs://{bucket}/{object}"));
    (source.tell)(Event::Started { work, name: object });
    let upload = Upload { cloud, bucket, object, public, crc: &crc, source, action: &action };
    let mut sessions = 0;
    let found = loop {
        sessions += 1;
        match upload.session()? {
            Some(found) => break found,
            None if sessions < SESSIONS => {}
            None => {
                let trouble =
                    Trouble::Unexpected(format!("Cloud Storage has forgotten {sessions} uploads of it"));
                return Err(cloud.failed(&action, trouble));
            }
        }
    };
    let difference = match (&found.size, &found.crc32c) {
        (size, _) if *size != source.len.to_string() => {
            format!("it has {size} bytes, and {} were sent", source.len)
        }
        (_, there) if *there != crc => format!("its CRC-32C is {there}, here it is {crc}"),
        _ => {
            (source.tell)(Event::Finished { work, name: object, bytes: Some(source.len), digest: None });
            return Ok(());
        }
    };
    delete(cloud, bucket, object)?;
    Err(GcpError::Differs { object: format!("gs://{bucket}/{object}"), difference })
}

/// Deletes an object, if it is there.
pub(crate) fn delete(cloud: &Cloud, bucket: &str, object: &str) -> Result<(), GcpError> {
    let url = format!("{}/storage/v1/b/{}/o/{}", cloud.storage_url(), encoded(bucket), encoded(object));
    let action = format!("delete gs://{bucket}/{object}");
    let answer = cloud.storage(&|| Request::new(Method::DELETE, &url), &action)?;
    match answer.status {
        404 => Ok(()),
        _ => cloud.accepted(answer, &action).map(drop),
    }
}

struct Upload<'a> {
    cloud: &'a Cloud,
    bucket: &'a str,
    object: &'a str,
    public: bool,
    crc: &'a str,
    source: &'a Source<'a>,
    action: &'a str,
}

impl Upload<'_> {
    /// Uploads everything in one session; `None` when that was lost.
    fn session(&self) -> Result<Option<Object>, GcpError> {
        let session = self.begin()?;
        let mut attempts = Attempts::default();
        let mut at = 0;
        let mut sure = true;
        loop {
            let answer = if sure { self.part(&session, at)? } else { self.ask(&session)? };
            let trouble = match answer.and_then(|answer| self.judge(answer)) {
                Ok(Ok(State::Whole(object))) => return Ok(Some(object)),
                Ok(Ok(State::Lost)) => return Ok(None),
                Ok(Ok(State::Has(bytes))) if bytes > self.source.len => {
                    Trouble::Unexpected(format!("it has {bytes} bytes of {}", self.source.len))
                }
                Ok(Ok(State::Has(bytes))) => {
                    if bytes > at {
                        attempts.forget();
                    } else if sure && attempts.pause(None).is_none() {
                        let trouble = Trouble::Unexpected("Cloud Storage takes no further bytes".into());
                        return Err(self.cloud.failed(self.action, trouble));
                    }
                    (at, sure) = (bytes, true);
                    continue;
                }
                Ok(Err(error)) => return Err(error),
                Err(trouble) => trouble,
            };
            match (&trouble, attempts.pause(None)) {
                (Trouble::Unexpected(_), _) | (_, None) => {
                    return Err(self.cloud.failed(self.action, trouble));
                }
                (_, Some(pause)) => thread::sleep(pause),
            }
            sure = false;
        }
    }

    /// The address of a new session.
    fn begin(&self) -> Result<String, GcpError> {
        let mut query = vec![("uploadType", "resumable"), ("name", self.object)];
        query.extend(self.public.then_some(("predefinedAcl", "publicRead")));
        let base = self.cloud.storage_url();
        let url = format!("{base}/upload/storage/v1/b/{}/o?{}", encoded(self.bucket), form(&query));
        let properties =
            json!({ "name": self.object, "contentType": "application/gzip", "crc32c": self.crc });
        let question = || {
            Request::new(Method::POST, &url)
                .header("x-upload-content-type", "application/gzip")
                .header("x-upload-content-length", self.source.len.to_string())
                .body("application/json", Body::Bytes(properties.to_string().into_bytes()))
                // A session that nobody uses is forgotten.
                .repeatable()
        };
        let answer = self.cloud.accepted(self.cloud.storage(&question, self.action)?, self.action)?;
        match answer.header("location") {
            Some(session) if origin(session) == origin(base) => Ok(session.to_owned()),
            _ => {
                let trouble = Trouble::Unexpected("the answer has no address of a session there".into());
                Err(self.cloud.failed(self.action, trouble))
            }
        }
    }

    /// Sends the part that begins at `at`.
    fn part(&self, session: &str, at: u64) -> Result<Result<Answer, Trouble>, GcpError> {
        let Source { file, len, tell, .. } = *self.source;
        let part = PART.min(len - at);
        let sent = |bytes: u64| {
            let bytes = at + bytes;
            tell(Event::Advanced { work: Work::Upload, name: self.object, bytes, total: len });
        };
        let question = Request::new(Method::PUT, session)
            .header("content-range", content_range(at, part, len))
            .body("application/gzip", Body::Stretch { file, offset: at, len: part, sent: &sent });
        self.cloud.storage_once(question)
    }

    /// Asks how far a session is.
    fn ask(&self, session: &str) -> Result<Result<Answer, Trouble>, GcpError> {
        let range = format!("bytes */{}", self.source.len);
        self.cloud.storage_once(Request::new(Method::PUT, session).header("content-range", range))
    }

    /// What an answer about a session means. The outer error may pass, the inner one does not.
    fn judge(&self, answer: Answer) -> Result<Result<State, GcpError>, Trouble> {
        match answer.status {
            308 => received(answer.header("range"))
                .map(|bytes| Ok(State::Has(bytes)))
                .ok_or_else(|| Trouble::Unexpected("its range is none".into())),
            404 | 410 => Ok(Ok(State::Lost)),
            status if passes(status) => answer.ok().and_then(|answer| self.judge(answer)),
            _ => match self.cloud.accepted(answer, self.action) {
                Ok(answer) => Ok(Ok(State::Whole(answer.json()?))),
                Err(error) => Ok(Err(error)),
            },
        }
    }
}

/// `Content-Range` of a part; that of an empty object has no bytes to name.
fn content_range(at: u64, part: u64, len: u64) -> String {
    match part {
        0 => format!("bytes */{len}"),
        part => format!("bytes {at}-{}/{len}", at + part - 1),
    }
}

/// How many bytes are there, by `Range` of a 308: `bytes=0-LAST`, or nothing when there are none.
fn received(range: Option<&str>) -> Option<u64> {
    let Some(range) = range else { return Some(0) };
    let last = range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?;
    last.parse::<u64>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_and_read() {
        assert_eq!(content_range(0, 256, 1000), "bytes 0-255/1000");
        assert_eq!(content_range(512, 488, 1000), "bytes 512-999/1000");
        assert_eq!(content_range(0, 0, 0), "bytes */0");
        for (range, bytes) in [
            (None, Some(0)),
            (Some("bytes=0-255"), Some(256)),
            (Some("0-255"), Some(256)),
            (Some("bytes=1-255"), None),
            (Some("bytes=0-x"), None),
            (Some("bytes=0-18446744073709551615"), None),
        ] {
            assert_eq!(received(range), bytes, "{range:?}");
        }
    }

    #[test]
    fn parts_are_of_a_length_that_cloud_storage_takes() {
        assert_eq!(PART % (256 << 10), 0);
    }
}
