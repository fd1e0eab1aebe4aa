//! Page blobs in a storage account.
//!
//! Source: Blob Storage's REST reference: "Create Container", "Put Blob", "Put Page", "Delete Blob".

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use ureq::http::Method;

use super::arm::{accepted, request};
use super::shared_key::{Key, Question};
use super::{Arm, AzureError, api, crc64, group};
use crate::http::{Answer, Body, Request, Trouble, encoded, form, is_safe, origin};
use crate::utc;

const VERSION: &str = "2019-12-12";
/// Most bytes that one question brings.
const PART: usize = 4 << 20;
/// Zeros of this length are left out: a new page blob has nothing else.
const BLOCK: usize = 64 << 10;

/// A storage account whose key is known.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    arm: &'a Arm,
    /// Where it is: what is made of its blobs must be there, too.
    pub(crate) location: String,
    url: String,
    key: Key,
}

impl<'a> Account<'a> {
    /// Finds the account, and its key.
    pub(crate) fn open(arm: &'a Arm, resource_group: &str, name: &str) -> Result<Self, AzureError> {
        let path =
            group(resource_group, &format!("providers/Microsoft.Storage/storageAccounts/{}", encoded(name)));
        let action = format!("use storage account {name}");
        let failed = |what: &str| request(&action, Trouble::Unexpected(what.to_owned()));
        let found = arm.find(&path, api::STORAGE, &action)?;
        let found = found.ok_or_else(|| failed("there is none in the resource group"))?;
        let url = found["properties"]["primaryEndpoints"]["blob"].as_str().filter(|url| is_safe(url));
        let url = url.ok_or_else(|| failed("it has no https address for blobs"))?;
        let location = found["location"].as_str().ok_or_else(|| failed("it has no location"))?;
        let keys =
            arm.post(&format!("{path}/listKeys"), api::STORAGE, &format!("list the keys of {name}"))?;
        let key = keys["keys"][0]["value"].as_str().and_then(|key| Key::new(name, key));
        let key = key.ok_or_else(|| failed("it has no key"))?;
        Ok(Self { arm, location: location.to_owned(), url: url.trim_end_matches('/').to_owned(), key })
    }

    /// Makes a container that nobody else may read, if there is none.
    pub(crate) fn make_container(&self, name: &str) -> Result<(), AzureError> {
        let action = format!("make container {name}");
        let answer = self.ask(Method::PUT, name, &[("restype", "container")], &[], None, &action)?;
        match answer.header("x-ms-error-code") {
            Some("ContainerAlreadyExists") => Ok(()),
            _ => accepted(answer, &action).map(drop),
        }
    }

    /// A blob in a container, which may not be there.
    pub(crate) fn blob(&'a self, container: &str, name: &str) -> PageBlob<'a> {
        PageBlob { account: self, path: format!("{container}/{name}") }
    }

    /// Sends a question: `path` has no slash at its beginning.
    fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&'static str, String)],
        body: Option<&[u8]>,
        action: &str,
    ) -> Result<Answer, AzureError> {
        const KIND: &str = "application/octet-stream";
        let url = match query {
            [] => format!("{}/{path}", self.url),
            query => format!("{}/{path}?{}", self.url, form(query)),
        };
        // An emulator's addresses have the account in their path, too.
        let host = origin(&self.url).len();
        let path = format!("{}/{path}", &self.url[host..]);
        let question = || {
            let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
            let mut headers = headers.to_vec();
            headers.extend([("x-ms-version", VERSION.to_owned()), ("x-ms-date", utc::http(now))]);
            let signed = self.key.sign(&Question {
                method: method.as_str(),
                path: &path,
                query,
                len: body.map_or(0, <[u8]>::len),
                kind: body.map_or("", |_| KIND),
                headers: &headers,
            });
            let question = Request::new(method.clone(), &url).secret("authorization", signed);
            let question =
                headers.into_iter().fold(question, |question, (name, value)| question.header(name, value));
            match body {
                Some(bytes) => question.body(KIND, Body::Bytes(bytes.to_vec())),
                None => question,
            }
        };
        self.arm.client.send(&question).map_err(|trouble| request(action, trouble))
    }
}

/// A page blob, there or not.
#[derive(Debug)]
pub(crate) struct PageBlob<'a> {
    account: &'a Account<'a>,
    path: String,
}

impl PageBlob<'_> {
    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.account.url, self.path)
    }

    /// Makes it anew, of `len` zeros; whole pages of them.
    pub(crate) fn make(&self, len: u64) -> Result<(), AzureError> {
        let action = format!("make blob {}", self.path);
        let headers =
            [("x-ms-blob-type", "PageBlob".to_owned()), ("x-ms-blob-content-length", len.to_string())];
        let answer = self.account.ask(Method::PUT, &self.path, &[], &headers, None, &action)?;
        accepted(answer, &action).map(drop)
    }

    /// Writes what is not zeros of a file of `len` bytes. Every part is checked by its CRC-64 before it is kept, and
    /// sent again when the connection breaks. `sent` is told how far it is.
    pub(crate) fn fill(&self, file: &File, len: u64, sent: &dyn Fn(u64)) -> Result<(), FillError> {
        let mut buffer = vec![0; PART];
        let mut at = 0;
        while at < len {
            let count = usize::try_from(len - at).map_or(PART, |left| left.min(PART));
            let part = &mut buffer[..count];
            file.read_exact_at(part, at).map_err(FillError::Read)?;
            for (start, end) in stretches(part) {
                self.write(at + start as u64, &part[start..end])?;
            }
            at += count as u64;
            sent(at);
        }
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), FillError> {
        let last = at + bytes.len() as u64 - 1;
        let action = format!("write bytes {at} to {last} of blob {}", self.path);
        let headers = [
            ("x-ms-page-write", "update".to_owned()),
            ("x-ms-range", format!("bytes={at}-{last}")),
            ("x-ms-content-crc64", crc64::of(bytes)),
        ];
        let answer =
            self.account.ask(Method::PUT, &self.path, &[("comp", "page")], &headers, Some(bytes), &action)?;
        accepted(answer, &action).map(drop)?;
        Ok(())
    }

    /// Deletes it, if it is there.
    pub(crate) fn delete(&self) -> Result<(), AzureError> {
        let action = format!("delete blob {}", self.path);
        let answer = self.account.ask(Method::DELETE, &self.path, &[], &[], None, &action)?;
        match answer.status {
            404 => Ok(()),
            _ => accepted(answer, &action).map(drop),
        }
    }
}

/// Why a blob is not filled.
#[derive(Debug)]
pub(crate) enum FillError {
    /// The file cannot be read.
    Read(io::Error),
    /// The blob cannot be written.
    Cloud(AzureError),
}

impl From<AzureError> for FillError {
    fn from(error: AzureError) -> Self {
        Self::Cloud(error)
    }
}

/// Where there is something else than zeros: stretches of whole blocks, but for the end.
fn stretches(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (number, block) in bytes.chunks(BLOCK).enumerate() {
        if block.iter().all(|byte| *byte == 0) {
            continue;
        }
        let start = number * BLOCK;
        match found.last_mut() {
            Some((_, end)) if *end == start => *end += block.len(),
            _ => found.push((start, start + block.len())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_zeros_is_sent() {
        let mut bytes = vec![0; 5 * BLOCK + 512];
        assert_eq!(stretches(&bytes), []);
        for at in [BLOCK, 2 * BLOCK + 9, 4 * BLOCK - 1, 5 * BLOCK] {
            bytes[at] = 1;
        }
        assert_eq!(stretches(&bytes), [(BLOCK, 4 * BLOCK), (5 * BLOCK, 5 * BLOCK + 512)]);
        bytes[3 * BLOCK..4 * BLOCK].fill(0);
        assert_eq!(stretches(&bytes)[0], (BLOCK, 3 * BLOCK));
        assert_eq!((PART % BLOCK, BLOCK % 512), (0, 0));
    }

    proptest::proptest! {
        #[test]
        fn every_byte_that_is_not_zero_is_in_a_stretch(places in proptest::collection::vec(0_usize..8 * BLOCK, 0..20)) {
            let mut bytes = vec![0; 8 * BLOCK];
            places.iter().for_each(|place| bytes[*place] = 1);
            let found = stretches(&bytes);
            for place in places {
                assert!(found.iter().any(|(start, end)| (*start..*end).contains(&place)));
            }
            assert!(found.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
