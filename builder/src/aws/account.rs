//! Requests to EC2 and S3.

use std::fmt;
use std::fs::File;
use std::time::{Duration, Instant, SystemTime};

use ureq::http::Method;

use super::signature::{Question, Scope, authorization, sha256};
use super::{AwsError, Element, Login};
use crate::http::{Answer, Body, Client, Request, Trouble, encoded_path, form};
use crate::utc::rfc3339;

/// How long AWS may say nothing.
const SILENCE: Duration = Duration::from_secs(120);
/// The version of EC2's interface.
const EC2: &str = "2016-11-15";
/// The kind of EC2's forms.
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Somebody's part of AWS in one region.
pub struct Account {
    client: Client,
    login: Login,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("login", &self.login).finish_non_exhaustive()
    }
}

/// A place in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object<'a> {
    /// The bucket.
    pub(crate) bucket: &'a str,
    /// The name in it.
    pub(crate) key: &'a str,
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// What becomes an object.
pub(crate) struct Content<'a> {
    /// The file.
    pub(crate) file: &'a File,
    /// Its length, in bytes.
    pub(crate) len: u64,
    /// Its SHA-256, which S3 compares with what comes.
    pub(crate) sha256: &'a str,
    /// How long it may take.
    pub(crate) within: Duration,
    /// Told how many bytes are read.
    pub(crate) sent: &'a dyn Fn(u64),
}

impl Account {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When certificates cannot be read.
    pub fn new(login: Login) -> Result<Self, AwsError> {
        Ok(Self { client: Client::new(&login.certificates, SILENCE)?, login })
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.login.region
    }

    /// Has EC2 do something. `repeatable` says that twice is as good as once: what reads, and what has a `ClientToken`.
    pub(crate) fn ec2(
        &self,
        name: &str,
        fields: &[(&str, &str)],
        repeatable: bool,
        action: &str,
    ) -> Result<Element, AwsError> {
        let region = self.region();
        let url = match &self.login.ec2 {
            Some(endpoint) => format!("{}/", endpoint.trim_end_matches('/')),
            None => format!("https://ec2.{region}.{}/", domain(region)),
        };
        let body = form(&[&[("Action", name), ("Version", EC2)], fields].concat());
        let hash = sha256(body.as_bytes());
        let request = || {
            let request = self.signed("ec2", Method::POST, &url, &hash, &[("content-type", FORM)]);
            let request = request.body(FORM, Body::Bytes(body.clone().into_bytes()));
            if repeatable { request.repeatable() } else { request }
        };
        let answer = self.client.send(&request);
        let answer = answer.map_err(|trouble| AwsError::Request { action: action.to_owned(), trouble })?;
        let text = String::from_utf8_lossy(&accepted(answer, action)?.body).into_owned();
        Element::parse(&text).map_err(|reason| AwsError::Request {
            action: action.to_owned(),
            trouble: Trouble::Unexpected(format!("the answer is not as documented: {reason}")),
        })
    }

    /// Puts a file into a bucket, whole or not at all.
    pub(crate) fn put(&self, object: &Object<'_>, content: &Content<'_>) -> Result<(), AwsError> {
        let (url, deadline) = (self.address(object)?, Instant::now() + content.within);
        let kind = "application/octet-stream";
        let request = || {
            let Content { file, len, sha256, sent, .. } = *content;
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.signed(
                "s3",
                Method::PUT,
                &url,
                sha256,
                &[("x-amz-content-sha256", sha256), ("content-type", kind)],
            )
            .header("x-amz-content-sha256", sha256)
            // A refusal comes before the bytes go.
            .header("expect", "100-continue")
            .body(kind, Body::Stretch { file, offset: 0, len, sent })
            .within(left)
        };
        self.s3(&request, format!("upload to {object}"))
    }

    /// Removes an object; one that is not there is as good as removed.
    pub(crate) fn delete(&self, object: &Object<'_>) -> Result<(), AwsError> {
        let (url, hash) = (self.address(object)?, sha256(b""));
        let request = || {
            self.signed("s3", Method::DELETE, &url, &hash, &[("x-amz-content-sha256", &hash)])
                .header("x-amz-content-sha256", hash.as_str())
        };
        self.s3(&request, format!("delete {object}"))
    }

    fn s3<'a>(&self, request: &dyn Fn() -> Request<'a>, action: String) -> Result<(), AwsError> {
        match self.client.send(request) {
            Ok(answer) => accepted(answer, &action).map(drop),
            Err(trouble) => Err(AwsError::Request { action, trouble }),
        }
    }

    /// Where an object is. Names with dots do not fit the certificates of buckets' own hosts.
    fn address(&self, object: &Object<'_>) -> Result<String, AwsError> {
        let (Object { bucket, key }, region) = (object, self.region());
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(plain) {
            return Err(AwsError::Bucket((*bucket).to_owned()));
        }
        let key = encoded_path(key);
        Ok(match &self.login.s3 {
            Some(endpoint) => format!("{}/{bucket}/{key}", endpoint.trim_end_matches('/')),
            None if bucket.contains('.') => format!("https://s3.{region}.{}/{bucket}/{key}", domain(region)),
            None => format!("https://{bucket}.s3.{region}.{}/{key}", domain(region)),
        })
    }

    /// A request with a signature over host, time, and what else is named here.
    fn signed<'a>(
        &self,
        service: &str,
        method: Method,
        url: &str,
        body: &str,
        also: &[(&str, &str)],
    ) -> Request<'a> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let time = rfc3339(now).replace(['-', ':'], "");
        let (host, path) = host_and_path(url);
        let mut headers = vec![("host", host), ("x-amz-date", time.as_str())];
        headers.extend_from_slice(also);
        let session = self.login.keys.session.as_ref();
        headers.extend(session.map(|session| ("x-amz-security-token", session.reveal())));
        let question = Question { method: method.as_str(), path, headers, body };
        let scope = Scope { time: &time, region: self.region(), service };
        let authorization = authorization(&question, &scope, &self.login.keys);
        let request =
            Request::new(method, url).secret("authorization", authorization).header("x-amz-date", time);
        match session {
            Some(session) => request.secret("x-amz-security-token", session.clone()),
            None => request,
        }
    }
}

/// The parts of an address that are signed.
fn host_and_path(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    }
}

fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

fn accepted(answer: Answer, action: &str) -> Result<Answer, AwsError> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let region = answer.header("x-amz-bucket-region").map(str::to_owned);
    let error = Element::parse(&String::from_utf8_lossy(&answer.body)).ok();
    let error = error.as_ref().and_then(|document| document.find("Error"));
    match error.and_then(|error| Some((error.text("Code")?, error.text("Message").unwrap_or_default()))) {
        Some((code, message)) => {
            let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(400).collect::<String>();
            Err(AwsError::Refused {
                action: action.to_owned(),
                code: shown(code),
                message: shown(message).trim_end_matches('.').to_owned(),
                region,
            })
        }
        None => answer.ok().map_err(|trouble| AwsError::Request { action: action.to_owned(), trouble }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::login::Keys;
    use crate::http::Secret;

    fn account(region: &str, s3: Option<&str>) -> Account {
        let keys = Keys { id: "A".into(), secret: Secret::new("s"), session: None };
        let s3 = s3.map(str::to_owned);
        Account::new(Login { keys, region: region.into(), ec2: None, s3, certificates: Vec::new() }).unwrap()
    }

    #[test]
    fn an_object_has_an_address() {
        for (region, s3, bucket, address) in [
            ("eu-west-1", None, "mine", "https://mine.s3.eu-west-1.amazonaws.com/a%20b.raw"),
            ("eu-west-1", None, "my.own", "https://s3.eu-west-1.amazonaws.com/my.own/a%20b.raw"),
            ("cn-north-1", None, "mine", "https://mine.s3.cn-north-1.amazonaws.com.cn/a%20b.raw"),
            ("r", Some("http://127.0.0.1:9/"), "mine", "http://127.0.0.1:9/mine/a%20b.raw"),
        ] {
            let found = account(region, s3).address(&Object { bucket, key: "a b.raw" }).unwrap();
            assert_eq!(found, address);
        }
        for bucket in ["", "ab", "Mine", "mi/ne", "mine@x"] {
            assert!(account("r", None).address(&Object { bucket, key: "k" }).is_err(), "{bucket}");
        }
    }
}
