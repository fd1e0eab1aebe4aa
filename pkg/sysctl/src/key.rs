//! Names of kernel parameters, and the files that they are. Pure.

use std::fmt;

use thiserror::Error;

/// A parameter's name: a path below `/proc/sys` that can't leave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    path: String,
}

/// Why a text is no [`Key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Nothing there.
    #[error("there is no key")]
    Empty,
    /// `..`, `.`, an empty component, or an absolute path.
    #[error("the key must name a file below the directory of parameters")]
    Leaves,
    /// Space or control characters.
    #[error("the key has a space or a control character in it")]
    NotOneWord,
}

impl Key {
    /// Reads a key. As in sysctl.d(5), its first separator decides: after a slash, dots are part of names; after a dot,
    /// dots separate and slashes stand for dots (`net.ipv4.conf.eth0/100.forwarding`).
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(KeyError::NotOneWord);
        }
        let swap = |c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        };
        let path: String = match text.chars().find(|c| matches!(c, '.' | '/')) {
            Some('.') => text.chars().map(swap).collect(),
            _ => text.to_owned(),
        };
        if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
            return Err(KeyError::Leaves);
        }
        Ok(Self { path })
    }

    /// The file, relative to the directory of parameters.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_decides_what_separates() {
        for (key, path) in [
            ("kernel.hostname", "kernel/hostname"),
            ("kernel/hostname", "kernel/hostname"),
            ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
            ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
            ("oneword", "oneword"),
        ] {
            assert_eq!(Key::new(key).unwrap().path(), path, "{key}");
        }
    }

    #[test]
    fn no_key_leaves_the_directory() {
        for key in [
            "/etc/passwd",
            "..",
            ".",
            "../x",
            "a/../../etc/passwd",
            "a/./b",
            "a//b",
            "a/",
            "a..b",
            ".a",
            "a.",
            "kernel.//.//.etc.passwd", // dots and slashes change places: kernel/../../etc/passwd
        ] {
            assert_eq!(Key::new(key), Err(KeyError::Leaves), "{key}");
        }
        assert_eq!(Key::new(""), Err(KeyError::Empty));
        for key in ["a b", "a\0b", "a\u{1b}[2J"] {
            assert_eq!(Key::new(key), Err(KeyError::NotOneWord), "{key:?}");
        }
    }
}
