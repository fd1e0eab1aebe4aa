//! A small HTTP/1.1 client: one GET or PUT without a body, a numeric address, no TLS, no DNS, no proxy, no redirects.
//!
//! That is all that a link-local metadata service needs, and all that it can be abused for.

mod client;
mod connect;
mod request;
mod response;

pub use client::{Timing, TryError, exchange};
pub use request::{Header, Method, Request};
pub use response::{Decoder, MAX_FIELDS, MAX_HEAD, Response, ResponseError};
