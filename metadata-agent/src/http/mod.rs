//! A small HTTP/1.1 client: one GET, a numeric address, no TLS, no DNS, no proxy, no redirects.
//!
//! That is all that a link-local metadata service needs, and all that it can be abused for.

mod client;
mod response;

pub use client::{Timing, TryError, get};
pub use response::{Decoder, MAX_FIELDS, MAX_HEAD, Response, ResponseError};
