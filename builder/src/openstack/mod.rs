//! OpenStack's interfaces, as `push openstack` and `run openstack` use them.
//!
//! | file | duty |
//! |---|---|
//! | `login.rs` | who we are: `OS_*` variables, `clouds.yaml` |
//! | `clouds.rs` | `clouds.yaml` itself |
//! | `catalog.rs` | where a service is |
//! | `cloud.rs` | a cloud that we are logged in to |
//!
//! Sources: the API references of Identity v3, Image v2, Compute v2.1 and Networking v2.0.

mod catalog;
mod cloud;
mod clouds;
mod login;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::http::{CertificateError, Trouble};
pub use cloud::{Cloud, Service};
pub use login::Login;

/// Why a cloud does not do what it is asked for.
#[derive(Debug, Error)]
pub enum OpenStackError {
    /// Nobody said which cloud.
    #[error(
        "cannot log in to OpenStack: {0} is not set; read the cloud's openrc file into the environment, or name a cloud \
         of clouds.yaml with OS_CLOUD"
    )]
    NotSet(&'static str),
    /// `clouds.yaml` is of no use.
    #[error("cannot use {}: {reason}", path.display())]
    Clouds {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There is no such file.
    #[error("OS_CLOUD is {0}, and there is no clouds.yaml: looked for {1}")]
    NoClouds(String, String),
    /// Certificates cannot be used.
    #[error("{0}; OS_CACERT names a file of certificates in PEM form")]
    Certificates(#[from] CertificateError),
    /// The service is not there.
    #[error("the cloud has no {service} service{where_}: {found}")]
    NoService {
        /// Its type.
        service: &'static str,
        /// Region and interface, if they were asked for.
        where_: String,
        /// What there is instead.
        found: String,
    },
    /// A request failed.
    #[error("cannot {action}: {trouble}")]
    Request {
        /// What was to be done.
        action: String,
        /// What came of it.
        trouble: Trouble,
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
