//! The command line, which is LinuxKit's. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use thiserror::Error;

use crate::tree::Tree;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Apply the settings in one directory to the parameters in the other.
    Apply {
        /// Where the settings are.
        config: PathBuf,
        /// Where the parameters are.
        parameters: PathBuf,
    },
    /// Print [`Tree::usage`].
    Help,
}

/// A command line that makes no sense.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum UsageError {
    /// No such option.
    #[error("unknown argument {0:?}: see {1} --help")]
    Unknown(OsString, &'static str),
    /// An option without its value.
    #[error("-{0} needs a directory")]
    NoDirectory(&'static str),
}

/// Reads the arguments after the program's name. Options may have one dash or two, and their value after `=` or apart.
///
/// # Errors
/// [`UsageError`] for what is not an option.
pub fn parse(tree: &Tree, arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let (mut config, mut parameters) = (PathBuf::from(tree.config), PathBuf::from(tree.parameters));
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_str().unwrap_or_default();
        let option = text.strip_prefix("--").or_else(|| text.strip_prefix('-')).unwrap_or_default();
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (option, None),
        };
        let (name, directory) = match name {
            "configDir" => ("configDir", &mut config),
            name if name == tree.option => (tree.option, &mut parameters),
            "h" | "help" => return Ok(Command::Help),
            _ => return Err(UsageError::Unknown(argument, tree.command)),
        };
        let value = value.or_else(|| rest.next()).filter(|value| !value.is_empty());
        *directory = value.ok_or(UsageError::NoDirectory(name))?.into();
    }
    Ok(Command::Apply { config, parameters })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{SYSCTL, SYSFS};

    fn line(text: &str) -> Result<Command, UsageError> {
        parse(&SYSCTL, text.split_whitespace().map(OsString::from))
    }

    fn apply(config: &str, sysctl: &str) -> Result<Command, UsageError> {
        Ok(Command::Apply { config: config.into(), parameters: sysctl.into() })
    }

    #[test]
    fn directories_are_linuxkits_unless_given_in_any_spelling() {
        assert_eq!(line(""), apply("/etc/sysctl.d", "/proc/sys"));
        assert_eq!(line("-configDir /a"), apply("/a", "/proc/sys"));
        assert_eq!(line("--sysctlDir=/b -configDir=/a"), apply("/a", "/b"));
        assert_eq!(line("--help"), Ok(Command::Help));
        let sysfs = parse(&SYSFS, ["-sysfsDir".into(), "/s".into()]);
        assert_eq!(sysfs, apply("/etc/sysfs.d", "/s"));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(line("-configDir"), Err(UsageError::NoDirectory("configDir")));
        assert_eq!(line("--sysctlDir="), Err(UsageError::NoDirectory("sysctlDir")));
        for text in ["-x", "net.ipv4.ip_forward=1", "-", "--"] {
            assert_eq!(line(text), Err(UsageError::Unknown(text.into(), "sysctl")), "{text}");
        }
    }
}
