//! A real OpenStack on loopback, and machines that are told what it says.
//!
//! `make openstack` starts it (`tests/openstack/up`) and leaves its address and its user in the environment.
//!
//! | file | duty |
//! |---|---|
//! | `stack.rs` | what is asked of its interfaces |
//! | `service.rs` | its metadata on 169.254.169.254, in a namespace of a machine's own |
//! | `machine.rs` | a machine that writes down what it was told |

mod machine;
mod service;
mod stack;

pub use machine::{File, Machine, Nic, Told};
pub use service::MetadataService;
pub use stack::{Server, Stack, StaticNetwork};

use std::path::PathBuf;

/// A script of this cloud.
fn script(name: &str) -> PathBuf {
    crate::root().join("tests/openstack").join(name)
}

/// A variable that `make openstack` sets.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make openstack`"))
}
