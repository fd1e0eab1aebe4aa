//! `--networking user|none|tap,IF|bridge,BR`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest name of a network interface, in bytes (`IFNAMSIZ`, netdevice(7), less the NUL at its end).
const LONGEST_NAME: usize = 15;

/// How the machine reaches the world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Networking {
    /// Through QEMU, as an ordinary process of the user; nothing reaches the machine but published ports.
    #[default]
    User,
    /// By a TAP interface of the host, which is made if it is not there.
    Tap(String),
    /// By a bridge of the host, which a helper of QEMU's joins.
    Bridge(String),
    /// Not at all.
    None,
}

/// Why a `--networking` is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkingError {
    /// Not one of the kinds.
    #[error("unknown network {0:?}: user, none, tap,INTERFACE and bridge,BRIDGE are possible")]
    Kind(String),
    /// No name can be like this.
    #[error(
        "{0:?} is no name of a network interface: these have 1 to {LONGEST_NAME} printing characters, without \
         commas, colons, slashes and spaces"
    )]
    Name(String),
}

impl FromStr for Networking {
    type Err = NetworkingError;

    fn from_str(text: &str) -> Result<Self, NetworkingError> {
        match text.split_once(',') {
            None if text == "user" => Ok(Self::User),
            None if text == "none" => Ok(Self::None),
            Some(("tap", name)) => interface(name).map(Self::Tap),
            Some(("bridge", name)) => interface(name).map(Self::Bridge),
            _ => Err(NetworkingError::Kind(text.to_owned())),
        }
    }
}

impl fmt::Display for Networking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Tap(name) => write!(f, "tap,{name}"),
            Self::Bridge(name) => write!(f, "bridge,{name}"),
            Self::None => f.write_str("none"),
        }
    }
}

fn interface(name: &str) -> Result<String, NetworkingError> {
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && !matches!(name, "." | "..");
    let printing = name.bytes().all(|byte| byte.is_ascii_graphic() && !b",:/".contains(&byte));
    if fits && printing { Ok(name.to_owned()) } else { Err(NetworkingError::Name(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_linuxkit_writes_them() {
        for (text, network) in [
            ("user", Networking::User),
            ("none", Networking::None),
            ("tap,tap0", Networking::Tap("tap0".into())),
            ("bridge,br-lan.2", Networking::Bridge("br-lan.2".into())),
        ] {
            assert_eq!(text.parse(), Ok(network.clone()), "{text}");
            assert_eq!(network.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "tap", "bridge", "user,x", "vmnet", "TAP,tap0"] {
            assert!(matches!(text.parse::<Networking>(), Err(NetworkingError::Kind(_))), "{text}");
        }
        for text in
            ["tap,", "tap,a b", "tap,a,script=/x", "bridge,..", "bridge,../x", "tap,sixteen-letters-x"]
        {
            assert!(matches!(text.parse::<Networking>(), Err(NetworkingError::Name(_))), "{text}");
        }
    }
}
