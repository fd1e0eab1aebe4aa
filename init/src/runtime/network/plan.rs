//! From the interfaces in `runtime.json` to netlink requests.

use std::fmt;
use std::path::PathBuf;

use image_layout::Interface;

/// `IFNAMSIZ` less the terminator (netdevice(7)).
const NAME_LIMIT: usize = 15;

/// One netlink request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Make a link.
    Create {
        /// Name of the link.
        name: String,
        /// Kind of the link, as in `ip link add … type KIND`.
        kind: String,
        /// Name of a veth's other end; empty: the kernel's choice.
        peer: String,
        /// In which network namespace.
        place: Place,
    },
    /// Move a link from the root namespace to the container's.
    Move {
        /// Name of the link.
        name: String,
    },
}

/// A network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The machine's.
    Root,
    /// The container's.
    Container,
}

/// Why a container does not have the interfaces it asked for.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// Names are 1 to 15 bytes without blanks and slashes.
    #[error(
        "interface name {0:?} must have 1 to {NAME_LIMIT} bytes, no '/', ':' or blank, and not be '.' or '..'"
    )]
    Name(String),
    /// Only veth has two ends.
    #[error("interface {name} is of type {kind}, which has no peer: remove `peer: {peer}`")]
    Peer {
        /// The interface.
        name: String,
        /// Its type.
        kind: String,
        /// The other end that was asked for.
        peer: String,
    },
    /// What was made could not be noted.
    #[error("cannot keep {path}: {source}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No netlink socket.
    #[error("cannot open a netlink socket: {source}")]
    Socket {
        /// Why.
        source: std::io::Error,
    },
    /// The container's network namespace could not be entered.
    #[error("cannot enter the container's network namespace: {source}")]
    Namespace {
        /// Why.
        source: std::io::Error,
    },
    /// The kernel refused.
    #[error("cannot {operation}: {source}")]
    Refused {
        /// What was asked.
        operation: String,
        /// The answer.
        source: std::io::Error,
    },
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, kind, .. } => write!(f, "add network interface {name} of type {kind}"),
            Self::Move { name } => write!(f, "move network interface {name} into the container"),
        }
    }
}

/// LinuxKit's rules: no `add` moves an existing link; a `peer` means veth; veth is made outside and moved in.
pub fn plan(interfaces: &[Interface]) -> Result<Vec<Operation>, InterfaceError> {
    let mut operations = Vec::new();
    for interface in interfaces {
        let name = checked(&interface.name)?;
        let kind = match (interface.add.as_str(), interface.peer.as_str()) {
            ("", "") => {
                operations.push(Operation::Move { name });
                continue;
            }
            ("", _) | ("veth", _) => "veth",
            (kind, "") => kind,
            (kind, peer) => {
                return Err(InterfaceError::Peer { name, kind: kind.to_owned(), peer: peer.to_owned() });
            }
        };
        let peer = if interface.peer.is_empty() { String::new() } else { checked(&interface.peer)? };
        let outside = kind == "veth" || interface.create_in_root;
        let place = if outside { Place::Root } else { Place::Container };
        operations.push(Operation::Create { name: name.clone(), kind: kind.to_owned(), peer, place });
        if outside {
            operations.push(Operation::Move { name });
        }
    }
    Ok(operations)
}

fn checked(name: &str) -> Result<String, InterfaceError> {
    let bad = |c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace();
    if name.is_empty() || name.len() > NAME_LIMIT || name == "." || name == ".." || name.contains(bad) {
        return Err(InterfaceError::Name(name.to_owned()));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, add: &str, peer: &str, create_in_root: bool) -> Interface {
        Interface { name: name.into(), add: add.into(), peer: peer.into(), create_in_root }
    }

    fn words(interface: &Interface) -> Vec<String> {
        plan(std::slice::from_ref(interface))
            .unwrap()
            .into_iter()
            .map(|operation| match operation {
                Operation::Create { name, kind, peer, place } => {
                    format!("create {kind} {name} {peer} {place:?}")
                }
                Operation::Move { name } => format!("move {name}"),
            })
            .collect()
    }

    #[test]
    fn linuxkits_rules_are_followed() {
        let cases: &[(Interface, &[&str])] = &[
            (interface("eth0", "", "", false), &["move eth0"]),
            (interface("veth0", "veth", "veth1", false), &["create veth veth0 veth1 Root", "move veth0"]),
            (interface("veth0", "", "veth1", false), &["create veth veth0 veth1 Root", "move veth0"]),
            (interface("wg0", "wireguard", "", false), &["create wireguard wg0  Container"]),
            (interface("wg0", "wireguard", "", true), &["create wireguard wg0  Root", "move wg0"]),
        ];
        for (interface, expected) in cases {
            assert_eq!(&words(interface), expected, "{interface:?}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        assert!(plan(&[interface("wg0", "wireguard", "wg1", false)]).is_err());
        for name in ["", ".", "a/b", "a b", "sixteen-letters-"] {
            assert!(plan(&[interface(name, "", "", false)]).is_err(), "{name:?}");
        }
    }
}
