//! Why a document could not be had, and what that says.

use std::time::Duration;

use thiserror::Error;

use crate::http::{Method, TryError};
use crate::volume::VolumeError;

/// Why a document could not be had.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Nobody has ever answered at the address: there is no such service here.
    #[error("{address}: {cause} after {} s", .after.as_secs_f32().round())]
    NoService {
        /// Who was asked.
        address: String,
        /// The last try's failure.
        cause: TryError,
        /// Since the run began.
        after: Duration,
    },
    /// Somebody answers, but not with documents of this kind.
    #[error("{address} answers, but has {nothing}")]
    NotThere {
        /// Who was asked.
        address: String,
        /// What it does not have, beginning with "no" or "neither".
        nothing: &'static str,
    },
    /// There is nothing of the kind on this machine.
    #[error("this machine has {0}")]
    NotHere(&'static str),
    /// A device that should hold documents.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A file that was asked for by name.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// A source that speaks, but not as it should.
    #[error("{from}: {what}")]
    Strange {
        /// The source.
        from: &'static str,
        /// What is wrong.
        what: String,
    },
    /// Nothing had come when the time was up.
    #[error("no answer before the deadline")]
    OutOfTime,
    /// Somebody else's answer was taken.
    #[error("not needed any more")]
    Cancelled,
    /// The service answers with a status that trying again doesn't change, or the last of those that it could.
    #[error("{method} {path}: the service answers {status}")]
    Status {
        /// How it was asked.
        method: Method,
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
    },
    /// The tries went wrong, the last one like this.
    #[error("{method} {path}: {cause}")]
    Failed {
        /// How it was asked.
        method: Method,
        /// What was asked for.
        path: String,
        /// The last try's failure.
        cause: TryError,
    },
}

impl FetchError {
    /// Whether this means that there is no such service, rather than that one does not work.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::NoService { .. }
                | Self::NotThere { .. }
                | Self::NotHere(_)
                | Self::OutOfTime
                | Self::Cancelled
        )
    }

    /// Whether the service will not speak to this machine, whatever it is asked.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { status: 401 | 403, .. })
    }
}
