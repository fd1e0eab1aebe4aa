//! Google Cloud's interfaces, as `push gcp` and `run gcp` use them.
//!
//! | file | duty |
//! |---|---|
//! | `key.rs` | who we are: files of service accounts and of gcloud |
//! | `token.rs` | what a key is exchanged for |
//! | `cloud.rs` | a cloud that we are logged in to |
//! | `advice.rs` | what can be done about what it says |
//! | `operation.rs` | what takes its time |
//! | `upload.rs` | an object in a bucket, in parts that are resumed |
//! | `name.rs` | which names Compute Engine takes |
//!
//! Sources: the references of Compute Engine v1 and of Cloud Storage's JSON interface v1.

mod advice;
mod cloud;
mod key;
pub(crate) mod name;
mod operation;
mod token;
pub(crate) mod upload;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use cloud::{Cloud, Login};
pub(crate) use operation::{PAUSE, Scope};
pub(crate) use upload::Source;

use crate::http::Trouble;

/// The licence of images whose machines run machines themselves ("Enable nested virtualization").
pub(crate) const NESTED: &str = "projects/vm-options/global/licenses/enable-vmx";
/// The feature of images that EFI firmware boots.
pub(crate) const UEFI: &str = "UEFI_COMPATIBLE";

/// Why Google Cloud does not do what it is asked for.
#[derive(Debug, Error)]
pub enum GcpError {
    /// Nobody said who asks.
    #[error(
        "cannot log in to Google Cloud: there is no key; name one with --keys or GOOGLE_APPLICATION_CREDENTIALS, or run \
         `gcloud auth application-default login` (looked for GOOGLE_APPLICATION_CREDENTIALS{0})"
    )]
    NoKey(String),
    /// A file with a key is of no use.
    #[error("cannot use the key in {}: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The key in it is of no use.
    #[error(
        "cannot use the private key of {who}: {reason}; make a new one with `gcloud iam service-accounts keys create`"
    )]
    PrivateKey {
        /// Whose.
        who: String,
        /// Why not.
        reason: String,
    },
    /// Nobody said in which project.
    #[error("no project is named: name one with --project or CLOUDSDK_CORE_PROJECT")]
    NoProject,
    /// A variable is of no use.
    #[error("cannot use {name}: {value:?} is no https address")]
    Address {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Certificates cannot be used.
    #[error("{0}")]
    Certificates(String),
    /// No token is to be had.
    #[error("cannot log in as {who} at {url}: {trouble}{}", advice::of_log_in(trouble))]
    LogIn {
        /// Who.
        who: String,
        /// Where.
        url: String,
        /// What came of it.
        trouble: Trouble,
    },
    /// A request failed.
    #[error("cannot {action}: {trouble}{advice}")]
    Request {
        /// What was to be done.
        action: String,
        /// What came of it.
        trouble: Trouble,
        /// What to do about it.
        advice: String,
    },
    /// It was begun, and failed.
    #[error("cannot {action}: the cloud says {message}{advice}")]
    Failed {
        /// What was to be done.
        action: String,
        /// What the cloud says.
        message: String,
        /// What to do about it.
        advice: String,
    },
    /// It takes too long.
    #[error("cannot {action}: operation {operation} is still {status} after {} s; allow more with --timeout", patience.as_secs())]
    Late {
        /// What was to be done.
        action: String,
        /// Its name.
        operation: String,
        /// What it is.
        status: String,
        /// How long was waited.
        patience: Duration,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The bucket has something else than was sent.
    #[error("object {object} is not what was sent: {difference}")]
    Differs {
        /// The object.
        object: String,
        /// In what.
        difference: String,
    },
}
