//! Azure's interfaces, as `push azure` and `run azure` use them.
//!
//! | file | duty |
//! |---|---|
//! | `login.rs` | who we are: `AZURE_*` variables, and the token that they are exchanged for |
//! | `arm.rs` | Resource Manager: what is there, what is made and deleted, and waiting for it |
//! | `advice.rs` | what can be done about what Azure says |
//! | `blob.rs` | page blobs in a storage account |
//! | `shared_key.rs` | how questions to a storage account are signed |
//! | `crc64.rs` | what the pages of a blob are checked by |
//!
//! Sources: the REST references of Resource Manager, of Blob Storage and of the Microsoft identity platform.

mod advice;
mod arm;
mod blob;
mod crc64;
mod login;
mod shared_key;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use arm::Arm;
pub(crate) use arm::{Task, group};
pub(crate) use blob::{Account, FillError, PageBlob};
pub use login::Login;

use crate::http::Trouble;

/// The versions of the interfaces that are used.
pub(crate) mod api {
    pub(crate) const COMPUTE: &str = "2023-03-01";
    pub(crate) const GROUPS: &str = "2021-04-01";
    pub(crate) const NETWORK: &str = "2023-05-01";
    pub(crate) const STORAGE: &str = "2023-01-01";
}

/// Why Azure does not do what it is asked for.
#[derive(Debug, Error)]
pub enum AzureError {
    /// Nobody said who asks.
    #[error(
        "cannot log in to Azure: {0} is not set; AZURE_SUBSCRIPTION_ID, AZURE_TENANT_ID, AZURE_CLIENT_ID and \
         AZURE_CLIENT_SECRET are those of a service principal (`az ad sp create-for-rbac`)"
    )]
    NotSet(&'static str),
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
    #[error("cannot log in to Azure as {client} at {url}: {trouble}{}", advice::of_log_in(trouble))]
    LogIn {
        /// Who.
        client: String,
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
        advice: &'static str,
    },
    /// It was begun, and failed.
    #[error("cannot {action}: Azure says {message}{advice}")]
    Failed {
        /// What was to be done.
        action: String,
        /// What Azure says.
        message: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// It takes too long.
    #[error("cannot {action}: it is still {status} after {} s; allow more with --timeout", patience.as_secs())]
    Late {
        /// What was to be done.
        action: String,
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
}
