//! The network as OpenStack describes it, put onto this machine: `network_data.json` to links, addresses and routes.
//!
//! ```text
//! json ──► Plan ──► apply ──► netlink
//!   (pure)      (what is there)
//! ```
//!
//! What is left to DHCP or to router advertisements (`ipv4_dhcp`, `ipv6_slaac` and so on) only gets its link up: dhcpcd
//! and the kernel do the rest.

mod address;
mod apply;
mod configure;
mod json;
mod message;
mod netlink;

use std::net::IpAddr;

use thiserror::Error;

pub use address::{Mac, Network};
pub use apply::{ApplyError, apply};
pub use configure::configure;
pub use netlink::Netlink;

/// What is to be, links in an order in which each comes after those that it needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Physical ones first, then bonds, then VLANs.
    pub links: Vec<Link>,
    /// Each once, in the order of the document.
    pub name_servers: Vec<IpAddr>,
}

/// One link and everything on it.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    /// What the document calls it; no interface's name.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its hardware address: how a physical one is found, and what others get.
    pub mac: Option<Mac>,
    /// Largest packet, in bytes.
    pub mtu: Option<u32>,
    /// Addresses with the networks that they are in.
    pub addresses: Vec<Network>,
    /// Ways to other networks.
    pub routes: Vec<Route>,
}

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Hardware, or what looks like it.
    Physical,
    /// Several that act as one.
    Bond {
        /// The interface's name.
        name: String,
        /// The kernel's number of the mode, 0 to 6.
        mode: u8,
        /// How often to look at the links, in milliseconds.
        monitor: Option<u32>,
        /// The kernel's number of the policy.
        hash: Option<u8>,
        /// Places in [`Plan::links`].
        members: Vec<usize>,
    },
    /// A numbered network on another link (IEEE 802.1Q).
    Vlan {
        /// A place in [`Plan::links`].
        parent: usize,
        /// 1 to 4094.
        number: u16,
    },
}

/// A way to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where to; length 0 is anywhere.
    pub to: Network,
    /// By whom; nobody when the network is on the link itself.
    pub gateway: Option<IpAddr>,
}

/// Something in the document that can't be done; the rest is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("network_data.json: {place}: {why}; left out")]
pub struct Problem {
    /// `links[0]`, `networks[2]`.
    pub place: String,
    /// What is wrong.
    pub why: Wrong,
}

/// What is wrong with a part of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Wrong {
    /// A syntax error.
    #[error("not JSON at line {line} column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Too many.
    #[error("more than {0} of them")]
    TooMany(usize),
    /// A field that must be there and be this.
    #[error("\"{0}\" is missing or not what it must be")]
    Field(&'static str),
    /// An `id` that no link has, or one that can't carry this.
    #[error("\"{0}\" names no link that is known and fits")]
    Link(&'static str),
    /// The same `id` again.
    #[error("the id is there twice")]
    Twice,
}

/// Reads `network_data.json`, of any bytes.
#[must_use]
pub fn plan(bytes: &[u8]) -> (Plan, Vec<Problem>) {
    json::plan(bytes)
}

impl Plan {
    /// A file by resolv.conf(5); none if no name server is known.
    #[must_use]
    pub fn resolv_conf(&self) -> Option<String> {
        let lines: String = self.name_servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        (!lines.is_empty()).then_some(lines)
    }
}

#[cfg(test)]
mod tests;
