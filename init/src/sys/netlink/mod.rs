//! Netlink: messages as bytes, a socket that asks and waits for the answer, and the questions init has.
//!
//! Formats: kernel Documentation/userspace-api/netlink, netlink(7), rtnetlink(7).

mod generic;
mod message;
mod route;
mod socket;

pub use generic::{Group, family_request, multicast_group};
pub use message::{Attribute, Message, attributes, messages};
pub use route::loopback_up;
pub use socket::{Protocol, Socket};
