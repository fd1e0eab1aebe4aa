//! HTTP, as registries and clouds share it.
//!
//! | file | duty |
//! |---|---|
//! | `agent.rs` | connections: certificates, time limits, proxies |
//! | `failure.rs` | why there is no answer, and whether there may be one later |
//! | `retry.rs` | when it is worth asking again, and after how long |
//! | `request.rs` | what is asked |
//! | `client.rs` | requests and bounded answers, for clouds |
//! | `encoding.rs` | texts in addresses and forms |
//! | `complaint.rs` | what a service says about an error, fit to be shown |
//! | `oauth.rs` | what clouds give whoever proves who it is |
//! | `secret.rs` | texts that must not be seen |
//!
//! Nobody here follows a redirect: who asks knows where its secrets may go.

mod agent;
mod client;
mod complaint;
mod encoding;
mod failure;
mod oauth;
mod request;
pub(crate) mod retry;
mod secret;
#[cfg(test)]
mod tests;

pub use agent::CertificateError;
pub(crate) use agent::{Agents, is_loopback, is_safe};
pub use client::Trouble;
pub(crate) use client::{Answer, Client};
pub(crate) use encoding::{encoded, encoded_path, form, origin};
pub(crate) use failure::Failure;
pub(crate) use oauth::Token;
pub(crate) use request::{Body, Request};
pub(crate) use secret::Secret;
