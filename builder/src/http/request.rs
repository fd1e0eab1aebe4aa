//! What is asked.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use ureq::http::Method;

use super::Secret;

/// What is asked. Its headers may be secrets, so none is ever shown.
pub(crate) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, Secret)>,
    pub(super) body: Body<'a>,
    pub(super) repeatable: bool,
    pub(super) within: Option<Duration>,
}

/// What is sent along.
pub(crate) enum Body<'a> {
    /// Nothing.
    None,
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// A part of a file, which can be sent again. `sent` is told how many bytes of it are read, again and again.
    Stretch {
        /// The file.
        file: &'a File,
        /// Where the part begins, in bytes.
        offset: u64,
        /// Its length, in bytes.
        len: u64,
        /// Told of progress.
        sent: &'a dyn Fn(u64),
    },
    /// Bytes that can be had once.
    Once {
        /// Where they come from.
        reader: &'a mut dyn Read,
        /// How many there are.
        len: u64,
    },
}

impl<'a> Request<'a> {
    /// A question without a body. It may be repeated if its method says so (RFC 9110, section 9.2.2).
    pub(crate) fn new(method: Method, url: impl Into<String>) -> Self {
        let repeatable = method.is_idempotent();
        Self { method, url: url.into(), headers: Vec::new(), body: Body::None, repeatable, within: None }
    }

    /// With a header.
    pub(crate) fn header(self, name: &'static str, value: impl Into<String>) -> Self {
        self.secret(name, Secret::new(value))
    }

    /// With a header that must not be seen.
    pub(crate) fn secret(mut self, name: &'static str, value: Secret) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With a body of this media type; its length is sent, too.
    pub(crate) fn body(mut self, kind: &str, body: Body<'a>) -> Self {
        if matches!(body, Body::Once { .. }) {
            self.repeatable = false;
        }
        self.body = body;
        self.header("content-type", kind)
    }

    /// It may be repeated, whatever its method: the other side knows a second one by what is in it.
    pub(crate) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// It may take only so long altogether; without, as long as bytes flow.
    pub(crate) fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }
}

/// A part of a file on its way.
pub(super) struct Part<'a> {
    pub(super) file: &'a File,
    pub(super) at: u64,
    pub(super) left: u64,
    pub(super) read: u64,
    pub(super) sent: &'a dyn Fn(u64),
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if most == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 {
            return Err(io::Error::other("the file is shorter than it was"));
        }
        self.at += count as u64;
        self.left -= count as u64;
        self.read += count as u64;
        (self.sent)(self.read);
        Ok(count)
    }
}
