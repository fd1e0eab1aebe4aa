//! User and group ids by the name of a container.

use std::collections::BTreeMap;

use super::error::Fault;
use crate::config::{Config, Id};

/// The first id that is handed out.
const FIRST: u32 = 100;

/// Which id stands for which container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    by_name: BTreeMap<String, u32>,
}

impl Ids {
    /// Hands out ids from 100 up, over onboot, onshutdown and services in their order.
    ///
    /// A name that occurs twice takes two ids; the later one counts (as in LinuxKit).
    #[must_use]
    pub fn assign(config: &Config) -> Self {
        let names = config.containers().map(|container| container.name.clone());
        Ids { by_name: names.zip(FIRST..).collect() }
    }

    /// The number that `id` stands for. A name that is no container's but a number is that number.
    ///
    /// # Errors
    /// [`Fault::NoId`] when no container has that name.
    pub fn resolve(&self, id: &Id) -> Result<u32, Fault> {
        match id {
            Id::Number(number) => Ok(*number),
            Id::Name(name) => match self.by_name.get(name) {
                Some(number) => Ok(*number),
                None => name.parse().map_err(|_| Fault::NoId(name.clone())),
            },
        }
    }
}
