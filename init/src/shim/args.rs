//! The command line that containerd gives its shims, as a value (containerd, docs/runtime-v2.md, "Shim binary").

use std::ffi::OsString;
use std::path::PathBuf;

use crate::runtime::valid_id;

/// What a shim is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start a server for the container, say where it listens, end.
    Start(Identity),
    /// Clean up after a server that died, say how the container ended.
    Delete {
        /// Whose.
        identity: Identity,
        /// The container's bundle; the working directory when not given.
        bundle: Option<PathBuf>,
    },
    /// Serve on the socket that is standard input.
    Serve(Identity),
    /// Say which version this is.
    Version,
    /// Say the same to containerd.
    Info,
}

/// Whose shim it is, and whom it tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// containerd's namespace.
    pub namespace: String,
    /// The container's id.
    pub id: String,
    /// containerd's gRPC socket.
    pub address: PathBuf,
}

/// Why a command line was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// An option that shims do not have.
    #[error("unknown option {0:?}")]
    Option(String),
    /// An option without its value.
    #[error("option {0} needs a value")]
    Value(String),
    /// An action that shims do not have.
    #[error("unknown action {0:?}: it is start or delete")]
    Action(String),
    /// A namespace or id that is none.
    #[error(
        "-{option} {value:?} may only have letters, digits, '.', '_', '-', '+', and must begin with a letter or digit"
    )]
    Identifier {
        /// `namespace` or `id`.
        option: &'static str,
        /// What was given.
        value: String,
    },
}

impl Command {
    /// Reads the words after the program's name; options are Go's: `-id x`, `--id x`, `-id=x`.
    pub fn parse<I: IntoIterator<Item = OsString>>(words: I) -> Result<Self, ParseError> {
        let mut words = words.into_iter();
        let mut identity = Identity::default();
        let (mut bundle, mut action, mut version, mut info) = (None, None, false, false);
        while let Some(word) = words.next() {
            let text = word.to_string_lossy();
            let Some(option) = text.strip_prefix('-') else {
                action.get_or_insert(text.into_owned());
                continue;
            };
            let option = option.strip_prefix('-').unwrap_or(option);
            let (name, inline) = match option.split_once('=') {
                Some((name, value)) => (name, Some(OsString::from(value))),
                None => (option, None),
            };
            match name {
                "debug" => continue,
                "v" | "version" => {
                    version = true;
                    continue;
                }
                "info" => {
                    info = true;
                    continue;
                }
                _ => {}
            }
            if !["namespace", "id", "address", "bundle", "publish-binary", "socket"].contains(&name) {
                return Err(ParseError::Option(text.into_owned()));
            }
            let value = inline.or_else(|| words.next()).ok_or_else(|| ParseError::Value(text.to_string()))?;
            match name {
                "namespace" => identity.namespace = value.to_string_lossy().into_owned(),
                "id" => identity.id = value.to_string_lossy().into_owned(),
                "address" => identity.address = PathBuf::from(value),
                "bundle" => bundle = Some(PathBuf::from(value)),
                // How events were sent before there was a socket for them, and a socket of the caller's choice.
                _ => {}
            }
        }
        if version || info {
            return Ok(if info { Self::Info } else { Self::Version });
        }
        for (option, value) in [("namespace", &identity.namespace), ("id", &identity.id)] {
            if !valid_id(value) {
                return Err(ParseError::Identifier { option, value: value.clone() });
            }
        }
        match action.as_deref() {
            Some("start") => Ok(Self::Start(identity)),
            Some("delete") => Ok(Self::Delete { identity, bundle }),
            None => Ok(Self::Serve(identity)),
            Some(other) => Err(ParseError::Action(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, ParseError> {
        Command::parse(line.split_whitespace().map(OsString::from))
    }

    fn identity() -> Identity {
        Identity {
            namespace: "services.linuxkit".into(),
            id: "slapd".into(),
            address: "/run/containerd/containerd.sock".into(),
        }
    }

    #[test]
    fn what_containerd_says_is_understood() {
        let options = "-namespace services.linuxkit -address /run/containerd/containerd.sock \
                       -publish-binary /usr/bin/containerd -id slapd";
        assert_eq!(parse(&format!("{options} start")), Ok(Command::Start(identity())));
        assert_eq!(
            parse(&format!("{options} -bundle /run/b delete")),
            Ok(Command::Delete { identity: identity(), bundle: Some("/run/b".into()) })
        );
        assert_eq!(parse(&format!("{options} -debug")), Ok(Command::Serve(identity())));
        assert_eq!(parse("-v"), Ok(Command::Version));
        assert_eq!(parse("-info"), Ok(Command::Info));
    }

    #[test]
    fn options_are_written_in_any_of_gos_ways() {
        let line = "--namespace=services.linuxkit --id slapd -address=/run/containerd/containerd.sock start";
        assert_eq!(parse(line), Ok(Command::Start(identity())));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse("-namespace"), Err(ParseError::Value("-namespace".into())));
        assert_eq!(parse("-dance x"), Err(ParseError::Option("-dance".into())));
        assert_eq!(parse("-namespace n -id a dance"), Err(ParseError::Action("dance".into())));
        assert_eq!(
            parse("-namespace n -id ../a start"),
            Err(ParseError::Identifier { option: "id", value: "../a".into() })
        );
    }
}
