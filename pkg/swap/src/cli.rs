//! The command line of `swap`.

use std::path::{Component, Path};

use lk_command::flags::{Flag, Parsed};
use lk_command::size::{Bytes, NotASize};

use crate::area::{LEAST, PAGE};
use crate::condition::{Condition, ConditionError};

/// What `-h` prints.
pub const USAGE: &str = "\
swap: makes a swap file on a disk, and swaps to it

usage: swap --path FILE --size SIZE [--encrypt] [--condition CONDITION]... [--debug]

  --path       the swap file, below /var; one that is there from the last boot is used again
  --size       its size: bytes, or with K, M, G or T behind it
  --encrypt    with a key that is made at each boot and kept nowhere
  --condition  part:PATH[:true]           only if something is mounted on PATH
               partsize:PATH:SIZE[:true]  only if the file system of PATH has SIZE
               with :true it is an error otherwise
  --debug      say each step
";

/// Its flags.
pub const FLAGS: &[Flag] = &[
    Flag { name: "path", takes_value: true },
    Flag { name: "size", takes_value: true },
    Flag { name: "encrypt", takes_value: false },
    Flag { name: "condition", takes_value: true },
    Flag { name: "debug", takes_value: false },
];

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The swap file.
    pub path: String,
    /// Its pages.
    pub pages: u64,
    /// Encrypted.
    pub encrypt: bool,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// Say more.
    pub debug: bool,
}

/// Why the command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// A flag is missing.
    #[error("--{0}: is missing")]
    Missing(&'static str),
    /// A flag that can be there only once.
    #[error("--path: name one file only")]
    SeveralPaths,
    /// The path is somewhere else.
    #[error("--path {0}: must be a file below /var, without `..`")]
    Elsewhere(String),
    /// The size is none.
    #[error("--size {0}")]
    NotASize(#[from] NotASize),
    /// The size makes no swap area.
    #[error("--size {0}: must be at least {least}, and at most 16 TiB", least = Bytes(LEAST * PAGE))]
    Size(Bytes),
    /// A condition is none.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// An argument that is no flag.
    #[error("{0:?}: there are no arguments but flags")]
    Argument(String),
}

/// What a command line asks for.
///
/// # Errors
/// [`UsageError`] says what is wrong with it.
pub fn options(parsed: Parsed) -> Result<Options, UsageError> {
    if let Some(argument) = parsed.positional.first() {
        return Err(UsageError::Argument(argument.clone()));
    }
    if parsed.values("path").count() > 1 {
        return Err(UsageError::SeveralPaths);
    }
    let path = parsed.value("path").ok_or(UsageError::Missing("path"))?;
    if !is_below_var(path) {
        return Err(UsageError::Elsewhere(path.to_owned()));
    }
    let size: Bytes = parsed.value("size").ok_or(UsageError::Missing("size"))?.parse()?;
    let pages = size.0 / PAGE;
    if !(LEAST..=1 << 32).contains(&pages) {
        return Err(UsageError::Size(size));
    }
    let conditions = parsed.values("condition").map(Condition::parse).collect::<Result<_, _>>()?;
    let (encrypt, debug) = (parsed.is_set("encrypt"), parsed.is_set("debug"));
    Ok(Options { path: path.to_owned(), pages, encrypt, conditions, debug })
}

fn is_below_var(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    let begins =
        parts.next() == Some(Component::RootDir) && parts.next() == Some(Component::Normal("var".as_ref()));
    let rest: Vec<Component<'_>> = parts.collect();
    begins
        && !rest.is_empty()
        && !path.ends_with('/')
        && rest.iter().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use lk_command::flags;

    use super::*;

    fn read(line: &str) -> Result<Options, UsageError> {
        options(flags::parse(FLAGS, line.split_whitespace().map(OsString::from)).unwrap())
    }

    #[test]
    fn linuxkits_command_lines_are_understood() {
        let plain = read("--path /var/external/swap --size 2G").unwrap();
        let wanted = Options {
            path: "/var/external/swap".into(),
            pages: 1 << 19,
            encrypt: false,
            conditions: vec![],
            debug: false,
        };
        assert_eq!(plain, wanted);
        let all = "--path /var/x --size 100M --encrypt --debug --condition part:/var --condition partsize:/var:1G:true";
        let all = read(all).unwrap();
        assert!(all.encrypt && all.debug && all.conditions.len() == 2 && all.conditions[1].required);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (line, error) in [
            ("--size 1G", UsageError::Missing("path")),
            ("--path /var/x", UsageError::Missing("size")),
            ("--path /var/x --path /var/y --size 1G", UsageError::SeveralPaths),
            ("--path /swap --size 1G", UsageError::Elsewhere("/swap".into())),
            ("--path /var/ --size 1G", UsageError::Elsewhere("/var/".into())),
            ("--path /var/../etc/x --size 1G", UsageError::Elsewhere("/var/../etc/x".into())),
            ("--path var/x --size 1G", UsageError::Elsewhere("var/x".into())),
            ("--path /var/x --size 39K", UsageError::Size(Bytes(39 << 10))),
            ("--path /var/x --size 17T", UsageError::Size(Bytes(17 << 40))),
            ("--path /var/x --size big", UsageError::NotASize(NotASize("big".into()))),
            ("--path /var/x --size 1G more", UsageError::Argument("more".into())),
        ] {
            assert_eq!(read(line), Err(error), "{line}");
        }
        assert!(matches!(read("--path /var/x --size 1G --condition y"), Err(UsageError::Condition(_))));
    }
}
