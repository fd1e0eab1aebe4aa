//! The command line, which is LinuxKit's. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use thiserror::Error;

/// What `--help` prints.
pub const USAGE: &str = "\
usage: sysctl [-configDir DIRECTORY] [-sysctlDir DIRECTORY]

Writes the kernel parameters of every file in a directory, in the order of the files' names; a later setting wins.

  -configDir DIRECTORY   where the files are (/etc/sysctl.d)
  -sysctlDir DIRECTORY   where the kernel's parameters are (/proc/sys)

A line is KEY = VALUE, a comment after # or ;, or empty. KEY has dots or slashes, as in sysctl.d(5); a - before it
ignores its failure. A setting that fails is a warning. Exit status: 0, or 1 when no file could be read.
";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Apply the settings in one directory to the parameters in the other.
    Apply {
        /// Where the settings are.
        config: PathBuf,
        /// Where the parameters are.
        sysctl: PathBuf,
    },
    /// Print [`USAGE`].
    Help,
}

/// A command line that makes no sense.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum UsageError {
    /// No such option.
    #[error("unknown argument {0:?}: see sysctl --help")]
    Unknown(OsString),
    /// An option without its value.
    #[error("-{0} needs a directory")]
    NoDirectory(&'static str),
}

/// Reads the arguments after the program's name. Options may have one dash or two, and their value after `=` or apart.
///
/// # Errors
/// [`UsageError`] for what is not an option.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let (mut config, mut sysctl) = (PathBuf::from("/etc/sysctl.d"), PathBuf::from("/proc/sys"));
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
            "sysctlDir" => ("sysctlDir", &mut sysctl),
            "h" | "help" => return Ok(Command::Help),
            _ => return Err(UsageError::Unknown(argument)),
        };
        let value = value.or_else(|| rest.next()).filter(|value| !value.is_empty());
        *directory = value.ok_or(UsageError::NoDirectory(name))?.into();
    }
    Ok(Command::Apply { config, sysctl })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Command, UsageError> {
        parse(text.split_whitespace().map(OsString::from))
    }

    fn apply(config: &str, sysctl: &str) -> Result<Command, UsageError> {
        Ok(Command::Apply { config: config.into(), sysctl: sysctl.into() })
    }

    #[test]
    fn directories_are_linuxkits_unless_given_in_any_spelling() {
        assert_eq!(line(""), apply("/etc/sysctl.d", "/proc/sys"));
        assert_eq!(line("-configDir /a"), apply("/a", "/proc/sys"));
        assert_eq!(line("--sysctlDir=/b -configDir=/a"), apply("/a", "/b"));
        assert_eq!(line("--help"), Ok(Command::Help));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(line("-configDir"), Err(UsageError::NoDirectory("configDir")));
        assert_eq!(line("--sysctlDir="), Err(UsageError::NoDirectory("sysctlDir")));
        for text in ["-x", "net.ipv4.ip_forward=1", "-", "--"] {
            assert_eq!(line(text), Err(UsageError::Unknown(text.into())), "{text}");
        }
    }
}
