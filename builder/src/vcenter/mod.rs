//! vCenter's interfaces, as `push vcenter` and `run vcenter` use them.
//!
//! | file | duty |
//! |---|---|
//! | `login.rs` | who we are: the address with user and password |
//! | `session.rs` | a vCenter that we are logged in to |
//! | `place.rs` | where in it: datacenter, datastore, host, network |
//!
//! Sources: the reference of the vSphere Automation API; the vSphere Web Services SDK Programming Guide, "HTTP Access to
//! vSphere Server Files".

mod login;
mod place;
mod session;

use std::time::Duration;

use thiserror::Error;

pub use login::Login;
pub(crate) use place::Place;
pub use session::Session;

use crate::http::Trouble;

/// Why vCenter does not do what it is asked for.
#[derive(Debug, Error)]
pub enum VCenterError {
    /// The address is of no use; it is not shown, since a password may be in it.
    #[error(
        "cannot use the address of vCenter: {0}; --url or VCURL is https://USER:PASSWORD@HOST/sdk, with signs like @ and / in the password as %40 and %2F"
    )]
    Address(&'static str),
    /// Certificates cannot be used.
    #[error("{0}")]
    Certificates(String),
    /// A request failed.
    #[error("cannot {action}: {trouble}{advice}")]
    Request {
        /// What was to be done.
        action: String,
        /// What came of it.
        trouble: Trouble,
        /// What to do about it.
        advice: &'static str,
    },
    /// There is no such thing.
    #[error("vCenter has no {kind}{}: it has {known}", name.as_ref().map(|name| format!(" {name}")).unwrap_or_default())]
    Unknown {
        /// `datacenter`, `datastore`, `host`, `network`.
        kind: &'static str,
        /// Its name, if it was named.
        name: Option<String>,
        /// What there is.
        known: String,
    },
    /// There are several, and none is named.
    #[error("vCenter has several of these, so name one with {option}: {known}")]
    Several {
        /// What names one.
        option: &'static str,
        /// What there is.
        known: String,
    },
    /// It takes too long.
    #[error("cannot {action} within {} s; allow more with --timeout", patience.as_secs())]
    Late {
        /// What was to be done.
        action: String,
        /// How long was waited.
        patience: Duration,
    },
}
