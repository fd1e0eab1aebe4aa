//! Puts a plan onto the machine. Whatever fails is told, and the rest is done.

use nix::errno::Errno;
use thiserror::Error;

use super::message::{
    Interface, Message, add_address, add_route, make_bond, make_vlan, set_master, set_mtu, set_state,
};
use super::netlink::Netlink;
use super::{Kind, Link, Mac, Plan};

/// Longest name of an interface (`IFNAMSIZ`), in bytes, without its end.
const MAX_NAME: usize = 15;
/// Drivers whose links have the hardware address of another.
const BORROWERS: &[&str] = &["bond", "vlan", "bridge", "macvlan", "macvtap", "ipvlan"];

/// What could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// No such hardware.
    #[error("network link {link}: this machine has no interface with the address {mac}")]
    Missing {
        /// The document's name of the link.
        link: String,
        /// What was looked for.
        mac: Mac,
    },
    /// The kernel refuses.
    #[error("network link {link}: cannot {action}: {}", explain(*.cause))]
    Refused {
        /// The document's name of the link.
        link: String,
        /// What was to be done.
        action: String,
        /// The kernel's answer.
        cause: Errno,
    },
    /// Its parent or members could not be made.
    #[error("network link {link}: what it is made of is not there")]
    Unfounded {
        /// The document's name of the link.
        link: String,
    },
}

fn explain(errno: Errno) -> String {
    match errno {
        Errno::EPERM => {
            "not permitted; the container needs CAP_NET_ADMIN and the machine's network".to_owned()
        }
        Errno::EOPNOTSUPP => "the kernel has no driver for that".to_owned(),
        other => other.desc().to_owned(),
    }
}

/// Makes the machine's network what `plan` says; what else there is stays as it is.
#[must_use]
pub fn apply(plan: &Plan, netlink: &mut Netlink) -> Vec<ApplyError> {
    let mut run = Run { netlink, errors: Vec::new() };
    let mut indices: Vec<Option<u32>> = Vec::new();
    for link in &plan.links {
        let index = run.link(link, &indices);
        indices.push(index);
    }
    // Addresses once all links are up, and routes once all addresses are there.
    for (link, index) in plan.links.iter().zip(&indices) {
        let Some(index) = *index else { continue };
        for address in &link.addresses {
            let action = || format!("add the address {}/{}", address.address, address.length);
            run.ask(link, action, |netlink| netlink.ask(&add_address(index, *address)));
        }
    }
    for (link, index) in plan.links.iter().zip(&indices) {
        let Some(index) = *index else { continue };
        for route in &link.routes {
            let action = || format!("add the route to {}/{}", route.to.address, route.to.length);
            run.ask(link, action, |netlink| match netlink.ask(&add_route(index, route, false)) {
                // The gateway is in no network of the link: clouds with addresses of /32 mean that.
                Err(Errno::ENETUNREACH | Errno::EHOSTUNREACH) if route.gateway.is_some() => {
                    netlink.ask(&add_route(index, route, true))
                }
                result => result,
            });
        }
    }
    run.errors
}

struct Run<'n> {
    netlink: &'n mut Netlink,
    errors: Vec<ApplyError>,
}

impl Run<'_> {
    /// Finds or makes a link, and brings it up; `others` are the indices of those before it.
    fn link(&mut self, link: &Link, others: &[Option<u32>]) -> Option<u32> {
        let other = |place: &usize| others.get(*place).copied().flatten();
        let index = match &link.kind {
            Kind::Physical => self.find(link)?,
            Kind::Bond { name, mode, monitor, hash, members } => {
                let bond = make_bond(name, link.mac, *mode, *monitor, *hash);
                let index = self.make(link, name, &bond)?;
                for member in members.iter().filter_map(other) {
                    self.join(link, member, index);
                }
                index
            }
            Kind::Vlan { parent, number } => {
                let Some(parent) = other(parent) else {
                    self.errors.push(ApplyError::Unfounded { link: link.id.clone() });
                    return None;
                };
                let name = self.vlan_name(link, parent, *number)?;
                self.make(link, &name, &make_vlan(&name, link.mac, parent, *number))?
            }
        };
        if let Some(mtu) = link.mtu {
            let action = || format!("set the MTU to {mtu}");
            self.ask(link, action, |netlink| netlink.ask(&set_mtu(index, mtu)));
        }
        self.ask(link, || "bring it up".to_owned(), |netlink| netlink.ask(&set_state(index, true)));
        Some(index)
    }

    fn find(&mut self, link: &Link) -> Option<u32> {
        let mac = link.mac?;
        let interfaces = self.interfaces(link)?;
        let found = interfaces.iter().find(|interface| {
            let borrowed = interface.kind.as_deref().is_some_and(|kind| BORROWERS.contains(&kind));
            interface.macs.contains(&mac) && !borrowed
        });
        if found.is_none() {
            self.errors.push(ApplyError::Missing { link: link.id.clone(), mac });
        }
        found.map(|interface| interface.index)
    }

    /// Makes a link unless an earlier run has.
    fn make(&mut self, link: &Link, name: &str, message: &Message) -> Option<u32> {
        let action = || format!("make the interface {name}");
        self.ask(link, action, |netlink| match netlink.ask(message) {
            Err(Errno::EEXIST) => Ok(()),
            result => result,
        })?;
        let interfaces = self.interfaces(link)?;
        let found = interfaces.iter().find(|interface| interface.name == name);
        found.map(|interface| interface.index)
    }

    /// A link must be down to become a member.
    fn join(&mut self, link: &Link, member: u32, bond: u32) {
        let action = || "take a member into the bond".to_owned();
        self.ask(link, action, |netlink| {
            netlink.ask(&set_state(member, false))?;
            netlink.ask(&set_master(member, bond))?;
            netlink.ask(&set_state(member, true))
        });
    }

    /// `eth0.5`, or `vlan5` if that is too long.
    fn vlan_name(&mut self, link: &Link, parent: u32, number: u16) -> Option<String> {
        let interfaces = self.interfaces(link)?;
        let parent = interfaces.iter().find(|interface| interface.index == parent)?;
        let name = format!("{}.{number}", parent.name);
        Some(if name.len() <= MAX_NAME { name } else { format!("vlan{number}") })
    }

    fn interfaces(&mut self, link: &Link) -> Option<Vec<Interface>> {
        self.ask(link, || "list interfaces".to_owned(), Netlink::interfaces)
    }

    fn ask<T>(
        &mut self,
        link: &Link,
        action: impl Fn() -> String,
        ask: impl FnOnce(&mut Netlink) -> nix::Result<T>,
    ) -> Option<T> {
        match ask(self.netlink) {
            Ok(answer) => Some(answer),
            Err(cause) => {
                self.errors.push(ApplyError::Refused { link: link.id.clone(), action: action(), cause });
                None
            }
        }
    }
}
