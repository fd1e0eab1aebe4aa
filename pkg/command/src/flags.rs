//! Flags as Go's `flag` package reads them, since that is what LinuxKit's users write: `-x`, `--x`, `-x=v`,
//! `-x v`.
//!
//! One difference: flags may also stand after the first positional argument.

use std::ffi::OsString;

/// A flag that a program knows.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Its name without dashes.
    pub name: &'static str,
    /// Whether a value follows; if not it is a switch, which also takes `=true` and `=false`.
    pub takes_value: bool,
}

/// Why a command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// `-h` or `-help` was given.
    #[error("help was asked for")]
    Help,
    /// A flag that the program does not know.
    #[error("-{0}: there is no such flag")]
    Unknown(String),
    /// A flag's value is missing.
    #[error("-{0}: needs a value")]
    NoValue(&'static str),
    /// A switch got something other than true or false.
    #[error("-{0}={1}: is true or false")]
    NotABool(&'static str, String),
    /// An argument is not UTF-8.
    #[error("{0:?}: is not UTF-8")]
    NotUtf8(OsString),
}

/// What the command line said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    values: Vec<(&'static str, String)>,
    /// Arguments that are not flags, in order.
    pub positional: Vec<String>,
}

impl Parsed {
    /// The value of a flag; the last one wins.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next_back()
    }

    /// Every value of a flag that may be given several times.
    pub fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        self.values.iter().filter(move |(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    /// Whether a switch is on.
    pub fn is_set(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }
}

/// Reads `arguments` (without the program's name) with the flags in `known`.
pub fn parse(known: &[Flag], arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, FlagError> {
    let mut parsed = Parsed::default();
    let mut arguments = arguments.into_iter().map(|a| a.into_string().map_err(FlagError::NotUtf8));
    let mut only_positional = false;
    while let Some(argument) = arguments.next().transpose()? {
        let Some(body) = argument.strip_prefix('-').filter(|b| !b.is_empty() && !only_positional) else {
            parsed.positional.push(argument);
            continue;
        };
        if body == "-" {
            only_positional = true;
            continue;
        }
        let body = body.strip_prefix('-').unwrap_or(body);
        let (name, attached) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let Some(flag) = known.iter().find(|f| f.name == name) else {
            return Err(match name {
                "h" | "help" => FlagError::Help,
                name => FlagError::Unknown(name.to_owned()),
            });
        };
        let value = match (flag.takes_value, attached) {
            (true, Some(value)) => value,
            (true, None) => arguments.next().transpose()?.ok_or(FlagError::NoValue(flag.name))?,
            (false, None) => "true".to_owned(),
            (false, Some(value)) => match value.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => "true".to_owned(),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => "false".to_owned(),
                _ => return Err(FlagError::NotABool(flag.name, value)),
            },
        };
        parsed.values.push((flag.name, value));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Flag] =
        &[Flag { name: "label", takes_value: true }, Flag { name: "force", takes_value: false }];

    fn read(arguments: &[&str]) -> Result<Parsed, FlagError> {
        parse(KNOWN, arguments.iter().map(OsString::from))
    }

    #[test]
    fn one_dash_or_two_with_or_without_an_equals_sign() {
        for line in [
            &["-label", "a", "-force", "/dev/sda"][..],
            &["--label=a", "--force", "/dev/sda"],
            &["-force=true", "/dev/sda", "-label=a"],
            &["-label=b", "-label=a", "-force", "--", "/dev/sda"],
        ] {
            let parsed = read(line).unwrap();
            assert_eq!(
                (parsed.value("label"), parsed.is_set("force"), parsed.positional.as_slice()),
                (Some("a"), true, &["/dev/sda".to_owned()][..]),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_switch_can_be_turned_off_and_a_value_may_begin_with_a_dash() {
        assert!(!read(&["-force=false"]).unwrap().is_set("force"));
        assert_eq!(read(&["-label", "-x"]).unwrap().value("label"), Some("-x"));
        assert_eq!(read(&["--", "-label"]).unwrap().positional, ["-label"]);
        assert_eq!(read(&["-"]).unwrap().positional, ["-"]);
        let twice = read(&["-label", "a", "--label=b"]).unwrap();
        assert_eq!(twice.values("label").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (line, error) in [
            (&["-x"][..], FlagError::Unknown("x".into())),
            (&["-label"], FlagError::NoValue("label")),
            (&["-force=maybe"], FlagError::NotABool("force", "maybe".into())),
            (&["--help"], FlagError::Help),
            (&["-h"], FlagError::Help),
        ] {
            assert_eq!(read(line), Err(error), "{line:?}");
        }
    }
}
