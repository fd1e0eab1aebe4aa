//! Why bytes are no response.

use thiserror::Error;

use super::{MAX_FIELDS, MAX_HEAD};

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
