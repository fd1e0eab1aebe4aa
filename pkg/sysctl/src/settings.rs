//! Files of settings, as sysctl.d(5) has them. Pure.

use thiserror::Error;

use crate::key::{Key, KeyError};
use crate::tree::Tree;

/// One line that sets something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Counted from 1.
    pub line: usize,
    /// What is set.
    pub key: Key,
    /// To what, without space around it.
    pub value: String,
    /// Whether a failure is of no interest (`-key`).
    pub optional: bool,
}

/// One line that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Why {
    /// No `=`.
    #[error("expected KEY = VALUE")]
    NoValue,
    /// A key that names no parameter.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Reads a file's text, each line by itself: what can be set, and what is wrong.
pub fn parse(tree: &Tree, text: &str) -> impl Iterator<Item = Result<Setting, Mistake>> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', ';']))
        .map(|(line, text)| setting(tree, line, text).map_err(|why| Mistake { line, why }))
}

fn setting(tree: &Tree, line: usize, text: &str) -> Result<Setting, Why> {
    let (key, value) = text.split_once('=').ok_or(Why::NoValue)?;
    let key = key.trim();
    let (key, optional) = key.strip_prefix('-').map_or((key, false), |key| (key.trim(), true));
    Ok(Setting { line, key: tree.key(key)?, value: value.trim().to_owned(), optional })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_setting_a_comment_or_a_mistake() {
        let text = "# comment\n\n ; comment\nkernel.panic=10\r\n  -net/ipv4/ip_forward = 1  \n\
                    net.ipv4.ping_group_range = 999 59999\nkernel.core_pattern = |/bin/x a=b\nkernel.empty =\n\
                    nonsense\n= 1\n../../etc/passwd = x\n";
        let set = |line, path: &str, value: &str, optional| {
            let key = Key::new(path).unwrap();
            Ok(Setting { line, key, value: value.to_owned(), optional })
        };
        let wanted = vec![
            set(4, "kernel/panic", "10", false),
            set(5, "net/ipv4/ip_forward", "1", true),
            set(6, "net/ipv4/ping_group_range", "999 59999", false),
            set(7, "kernel/core_pattern", "|/bin/x a=b", false),
            set(8, "kernel/empty", "", false),
            Err(Mistake { line: 9, why: Why::NoValue }),
            Err(Mistake { line: 10, why: Why::Key(KeyError::Empty) }),
            Err(Mistake { line: 11, why: Why::Key(KeyError::Leaves) }),
        ];
        assert_eq!(parse(&crate::tree::SYSCTL, text).collect::<Vec<_>>(), wanted);
    }
}
