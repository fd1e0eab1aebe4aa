//! Scaleway's interfaces, as `push scaleway` and `run scaleway` use them.
//!
//! | file | duty |
//! |---|---|
//! | `login.rs` | who asks, and where: variables and `config.yaml` |
//! | `cloud.rs` | requests to the Instance API |
//! | `server.rs` | a server's life |
//!
//! Sources: the reference of the Instance API v1; the environment and `config.yaml` of Scaleway's own clients.

mod cloud;
mod login;
mod server;

use std::path::PathBuf;

use thiserror::Error;

use crate::http::{CertificateError, Trouble};
pub use cloud::Cloud;
pub(crate) use cloud::Wait;
pub use login::Login;
pub(crate) use server::{Server, addresses};

/// Why Scaleway does not do what it is asked for.
#[derive(Debug, Error)]
pub enum ScalewayError {
    /// Nobody said who asks.
    #[error(
        "cannot ask Scaleway: SCW_SECRET_KEY is not set{looked}; make an API key in Scaleway's console, and set SCW_SECRET_KEY"
    )]
    NoKey {
        /// Where it was looked for, too.
        looked: String,
    },
    /// Nobody said for whom.
    #[error("cannot ask Scaleway: neither SCW_DEFAULT_PROJECT_ID nor SCW_DEFAULT_ORGANIZATION_ID is set")]
    NoProject,
    /// A zone's name would be part of an address.
    #[error("cannot ask Scaleway: {0:?} is no zone; zones are such as fr-par-1")]
    Zone(String),
    /// `config.yaml` is of no use.
    #[error("cannot use {}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Certificates cannot be used.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// A request failed.
    #[error("cannot {action}: {trouble}{advice}")]
    Request {
        /// What was to be done.
        action: String,
        /// What came of it.
        trouble: Trouble,
        /// What to do, with a semicolon before it.
        advice: &'static str,
    },
    /// An answer is not as documented.
    #[error("cannot {action}: the answer has no {member}")]
    Answer {
        /// What was to be done.
        action: String,
        /// What is missing.
        member: &'static str,
    },
    /// Something has become what it should not be.
    #[error("{what} {id} is {state}, and was to be {wanted}")]
    State {
        /// `server`, `snapshot`, `image`.
        what: &'static str,
        /// Its id.
        id: String,
        /// Its state.
        state: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// It takes too long.
    #[error("{what} {id} is still {state} after {seconds} s")]
    Late {
        /// `server`, `snapshot`, `image`.
        what: &'static str,
        /// Its id.
        id: String,
        /// Its state.
        state: String,
        /// How long was waited.
        seconds: u64,
    },
}
