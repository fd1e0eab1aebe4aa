//! The clouds. To add one: its file here, its `mod` line, its line in [`ALL`].

mod openstack;

use std::fmt::Debug;
use std::net::SocketAddr;

use thiserror::Error;

use crate::fetch::{FetchError, Fetcher};
use crate::metadata::{Invalid, Metadata};

pub use openstack::OpenStack;

/// Every provider, in the order in which they are asked when the command line names none.
pub const ALL: &[&dyn Provider] = &[&OpenStack];

/// A cloud that can be asked about this machine.
pub trait Provider: Debug + Sync {
    /// What the command line and the file `provider` call it.
    fn name(&self) -> &'static str;

    /// Where its service is: a link-local address, for nothing else may be asked.
    fn address(&self) -> SocketAddr;

    /// Asks the service for everything.
    ///
    /// # Errors
    /// [`FetchError`] when it is not there ([`FetchError::is_absence`]) or does not work at all; whatever is wrong
    /// beyond that is in [`Reading::problems`].
    fn read(&self, http: &mut Fetcher<'_>) -> Result<Reading, FetchError>;
}

/// What a provider has said.
#[derive(Debug, Default)]
pub struct Reading {
    /// What is usable.
    pub metadata: Metadata,
    /// What is not, and why.
    pub problems: Vec<Problem>,
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
        path: &'static str,
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at a line's beginning.
        column: usize,
    },
}

/// No provider has that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown provider {}: known are {}", crate::tree::Quoted(.0), known())]
pub struct Unknown(pub String);

fn known() -> String {
    ALL.iter().map(|provider| provider.name()).collect::<Vec<_>>().join(", ")
}

/// The providers of these names, in this order; all of them when there are no names.
///
/// # Errors
/// [`Unknown`] for the first name that nobody has.
pub fn by_names(names: &[String]) -> Result<Vec<&'static dyn Provider>, Unknown> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let find = |name: &String| ALL.iter().copied().find(|provider| provider.name() == name);
    names.iter().map(|name| find(name).ok_or_else(|| Unknown(name.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_found_by_name_and_all_of_them_without() {
        let names = |list: &[&str]| {
            let list: Vec<_> = list.iter().map(ToString::to_string).collect();
            by_names(&list).map(|found| found.iter().map(|p| p.name()).collect::<Vec<_>>())
        };
        assert_eq!(names(&["openstack"]), Ok(vec!["openstack"]));
        assert_eq!(names(&[]).unwrap().len(), ALL.len());
        let unknown = names(&["openstack", "nimbus"]).unwrap_err();
        assert_eq!(unknown.to_string(), "unknown provider \"nimbus\": known are openstack");
    }

    #[test]
    fn every_provider_asks_a_link_local_address() {
        for provider in ALL {
            match provider.address().ip() {
                std::net::IpAddr::V4(ip) => assert!(ip.is_link_local(), "{}", provider.name()),
                std::net::IpAddr::V6(ip) => assert!(ip.is_unicast_link_local(), "{}", provider.name()),
            }
        }
    }
}
