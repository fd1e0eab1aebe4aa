//! `--networking [type=]TYPE[,adapter=INTERFACE]`.

use std::str::FromStr;

use thiserror::Error;

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// VirtualBox's name for how it is connected: `nat`, `bridged`, `intnet`, `hostonly`, …
    pub kind: String,
    /// The host's interface, for `bridged` and `hostonly`.
    pub adapter: Option<String>,
}

/// Why a `--networking` is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Not one of the keys.
    #[error(
        "unknown key {0:?}: a network is [type=]TYPE[,adapter=INTERFACE], bridgeadapter and hostadapter being the same"
    )]
    Key(String),
    /// Not one of the types.
    #[error(
        "unknown type {0:?}: VirtualBox has null, nat, bridged, intnet, hostonly, generic and natnetwork"
    )]
    Kind(String),
    /// An interface is missing.
    #[error("type {0} needs the host's interface: {0},adapter=INTERFACE")]
    NoAdapter(String),
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (mut kind, mut adapter) = (String::new(), None);
        for part in text.split(',') {
            match part.split_once('=').unwrap_or(("type", part)) {
                ("type", value) => value.clone_into(&mut kind),
                ("adapter" | "bridgeadapter" | "hostadapter", value) => adapter = Some(value.to_owned()),
                (key, _) => return Err(NetworkError::Key(key.to_owned())),
            }
        }
        match kind.as_str() {
            "bridged" | "hostonly" if adapter.as_ref().is_none_or(String::is_empty) => {
                Err(NetworkError::NoAdapter(kind))
            }
            "null" | "nat" | "bridged" | "intnet" | "hostonly" | "generic" => Ok(Self { kind, adapter }),
            other if other.starts_with("natnetwork") => Ok(Self { kind, adapter }),
            _ => Err(NetworkError::Kind(kind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_linuxkit_writes_them() {
        for (text, kind, adapter) in [
            ("nat", "nat", None),
            ("type=null", "null", None),
            ("bridged,bridgeadapter=eth0", "bridged", Some("eth0")),
            ("type=hostonly,adapter=vboxnet0", "hostonly", Some("vboxnet0")),
        ] {
            let expected = Network { kind: kind.into(), adapter: adapter.map(Into::into) };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "user", "bridged", "hostonly,adapter=", "nat,mac=1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
