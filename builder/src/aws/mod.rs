//! Amazon's interfaces, as `push aws` and `run aws` use them.
//!
//! | file | duty |
//! |---|---|
//! | `login.rs` | who asks, and where: variables and profiles |
//! | `profile.rs` | the files of profiles |
//! | `signature.rs` | Signature Version 4 |
//! | `account.rs` | requests to EC2 and S3 |
//! | `xml.rs` | their answers |
//! | `advice.rs` | what to do about what they refuse |
//!
//! Sources: the API references of EC2 (2016-11-15) and S3 (2006-03-01), the AWS SDKs and Tools reference guide.

mod account;
mod advice;
mod login;
mod profile;
mod signature;
mod xml;

use std::path::PathBuf;

use thiserror::Error;

use crate::http::{CertificateError, Trouble};
pub use account::Account;
pub(crate) use account::{Content, Object};
pub use login::Login;
pub(crate) use signature::token;
pub(crate) use xml::Element;

/// Why AWS does not do what it is asked for.
#[derive(Debug, Error)]
pub enum AwsError {
    /// Nobody said which region.
    #[error("cannot ask AWS: no region is set; set AWS_REGION, or give profile {0} one with `aws configure`")]
    NoRegion(String),
    /// A region's name would be part of an address.
    #[error("cannot ask AWS: {0:?} is no region; AWS_REGION is such as eu-west-1")]
    Region(String),
    /// Nobody said who asks.
    #[error(
        "cannot ask AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and profile {profile} has no keys \
         in {looked}{hint}"
    )]
    NoKeys {
        /// The profile.
        profile: String,
        /// Where it was looked for.
        looked: String,
        /// What to do, with a semicolon before it.
        hint: String,
    },
    /// A file of profiles is of no use.
    #[error("cannot read the AWS profiles in {}: {reason}", path.display())]
    Profiles {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A bucket's name would be part of an address.
    #[error(
        "cannot use bucket {0:?}: the name of a bucket has 3 to 63 lower-case letters, digits, dots and hyphens"
    )]
    Bucket(String),
    /// Certificates cannot be used.
    #[error("{0}; AWS_CA_BUNDLE names a file of certificates in PEM form")]
    Certificates(#[from] CertificateError),
    /// There is no answer, or none that can be used.
    #[error("cannot {action}: {trouble}")]
    Request {
        /// What was to be done.
        action: String,
        /// What came of it.
        trouble: Trouble,
    },
    /// AWS refuses.
    #[error("cannot {action}: AWS answers {code}: {message}{}", advice::after(code, region.as_deref()))]
    Refused {
        /// What was to be done.
        action: String,
        /// AWS's name for the error.
        code: String,
        /// What it says about it.
        message: String,
        /// The region that a bucket is in, if it says so.
        region: Option<String>,
    },
    /// An answer is not as documented.
    #[error("cannot {action}: the answer has no {member}")]
    Answer {
        /// What was to be done.
        action: String,
        /// What is missing.
        member: &'static str,
    },
}
