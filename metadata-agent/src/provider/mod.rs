//! The clouds, and what else knows the machine. To add one: its file here, its `mod` line, its line in [`ALL`].

mod aws;
mod azure;
mod cdrom;
mod digitalocean;
mod equinixmetal;
mod file;
mod gcp;
mod hetzner;
mod metaldata;
mod nocloud;
mod openstack;
mod qemu;
mod scaleway;
mod vmware;
mod vultr;

pub mod documents;
pub mod ec2_tree;
pub mod flat_yaml;
pub mod ovf;
pub mod session;
pub mod smbios;

use std::fmt::Debug;
use std::sync::Arc;

use thiserror::Error;

use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::metadata::{Invalid, Metadata};
use crate::service::Service;

pub use file::NamedFile;

/// Every provider, in LinuxKit's order with those that it does not have at the end: the order in which answers are
/// preferred.
pub const ALL: &[&dyn Provider] = &[
    &aws::Aws,
    &gcp::Gcp,
    &hetzner::Hetzner,
    &openstack::OpenStack,
    &scaleway::Scaleway,
    &vultr::Vultr,
    &digitalocean::DigitalOcean,
    &equinixmetal::EquinixMetal,
    &metaldata::Metaldata,
    &vmware::VMware,
    &cdrom::CdRom,
    &azure::Azure,
    &nocloud::NoCloud,
    &qemu::Qemu,
];

/// What begins the argument that names a file instead of a provider.
const FILE: &str = "file=";

/// Something that can be asked about this machine.
pub trait Provider: Debug + Send + Sync {
    /// What the command line calls it.
    fn name(&self) -> &'static str;

    /// What the file `provider` says, in LinuxKit's words, unless [`Reading::source`] knows better.
    fn title(&self) -> &'static str {
        self.name()
    }

    /// Where its service is, if it has one.
    fn service(&self, _local: &Local) -> Option<Service> {
        None
    }

    /// Looks at what is on this machine: devices, firmware. Does not wait. None if there is nothing of its own.
    ///
    /// # Errors
    /// [`FetchError`] if there is something and it can't be read.
    fn read_local(&self, _local: &Local) -> Result<Option<Reading>, FetchError> {
        Ok(None)
    }

    /// Asks the service for everything.
    ///
    /// # Errors
    /// [`FetchError`] when it is not there ([`FetchError::is_absence`]) or does not work at all; whatever is wrong
    /// beyond that is in [`Reading::problems`].
    fn read(&self, _local: &Local, _http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        Err(FetchError::NotHere("no service of that kind"))
    }
}

impl Provider for &dyn Provider {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn title(&self) -> &'static str {
        (**self).title()
    }

    fn service(&self, local: &Local) -> Option<Service> {
        (**self).service(local)
    }

    fn read_local(&self, local: &Local) -> Result<Option<Reading>, FetchError> {
        (**self).read_local(local)
    }

    fn read(&self, local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        (**self).read(local, http)
    }
}

/// What a provider has said.
#[derive(Debug, Default)]
pub struct Reading {
    /// What is usable.
    pub metadata: Metadata,
    /// What is not, and why.
    pub problems: Vec<Problem>,
    /// The device or file that it came from, where that is what the file `provider` says.
    pub source: Option<String>,
}

/// Something that a provider has, and that is not usable.
#[derive(Debug, Error)]
pub enum Problem {
    /// A value that can't be what it says.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A document that could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// User-data that could not be had, or is too large.
    #[error("user-data refused: {0}")]
    UserData(FetchError),
    /// A document that is not what its name says.
    #[error("{path}: not JSON at line {line} column {column}; left out")]
    NotJson {
        /// The document.
        path: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at a line's beginning.
        column: usize,
    },
    /// Something that is not encoded as it says.
    #[error("{what} {why}; left out")]
    Undecodable {
        /// The value.
        what: &'static str,
        /// What is wrong.
        why: &'static str,
    },
}

impl Problem {
    /// That the document at `path` is not JSON.
    #[must_use]
    pub fn not_json(path: &str, error: &serde_json::Error) -> Self {
        Self::NotJson { path: path.to_owned(), line: error.line(), column: error.column() }
    }

    /// The same as the reason why there is nothing from `source`.
    #[must_use]
    pub fn into_error(self, source: &'static str) -> FetchError {
        match self {
            Self::Fetch(error) | Self::UserData(error) => error,
            other => FetchError::Strange { from: source, what: other.to_string() },
        }
    }
}

/// No provider has that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown provider {}: known are {}, file=PATH", crate::tree::Quoted(.0), names())]
pub struct Unknown(pub String);

/// The names of [`ALL`], joined by commas.
#[must_use]
pub fn names() -> String {
    ALL.iter().map(|provider| provider.name()).collect::<Vec<_>>().join(", ")
}

/// The provider of that name: one of [`ALL`], or `file=PATH`.
///
/// # Errors
/// [`Unknown`] if nobody has it.
pub fn by_name(name: &str) -> Result<Arc<dyn Provider>, Unknown> {
    if let Some(path) = name.strip_prefix(FILE).filter(|path| !path.is_empty()) {
        return Ok(Arc::new(NamedFile::new(path)));
    }
    let found = ALL.iter().find(|provider| provider.name() == name);
    found.map(|provider| Arc::new(*provider) as Arc<dyn Provider>).ok_or_else(|| Unknown(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_found_by_name() {
        for provider in ALL {
            assert_eq!(by_name(provider.name()).unwrap().name(), provider.name());
        }
        assert_eq!(by_name("file=/a/b").unwrap().name(), "file");
        for bad in ["nimbus", "", "file=", "AWS"] {
            let unknown = by_name(bad).unwrap_err();
            assert!(
                unknown.to_string().starts_with(&format!("unknown provider {bad:?}: known are aws, gcp, "))
            );
        }
    }

    #[test]
    fn the_order_begins_as_linuxkits() {
        let names: Vec<_> = ALL.iter().map(|provider| provider.name()).collect();
        let linuxkit = [
            "aws",
            "gcp",
            "hetzner",
            "openstack",
            "scaleway",
            "vultr",
            "digitalocean",
            "equinixmetal",
            "metaldata",
            "vmware",
            "cdrom",
        ];
        assert_eq!(names[..linuxkit.len()], linuxkit);
    }

    #[test]
    fn services_are_link_local_but_for_the_two_that_have_only_a_name() {
        let nothing = Local::below(std::path::Path::new("/nonexistent"));
        let named: Vec<_> = ALL
            .iter()
            .filter(|p| p.service(&nothing).is_some_and(|service| !service.is_link_local()))
            .map(|p| p.name())
            .collect();
        assert_eq!(named, ["equinixmetal", "metaldata"]);
    }
}
