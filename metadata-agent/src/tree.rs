//! The files to be, as a value: names that can't leave their directory, contents and permissions.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

/// Longest file name that Linux file systems take (`NAME_MAX`), in bytes.
const MAX_NAME: usize = 255;

/// A file's or directory's name: one path component, never `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

/// Why a text is no [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a name must not be empty")]
    Empty,
    /// `.` or `..`.
    #[error("a name must not be \".\" or \"..\"")]
    Dots,
    /// It is a path.
    #[error("a name must not contain \"/\": use \"entries\" for directories")]
    Slash,
    /// NUL, newline, escape and the like.
    #[error("a name must not contain control characters")]
    Control,
    /// Longer than a file name can be.
    #[error("a name must not be longer than {MAX_NAME} bytes")]
    TooLong,
}

impl Name {
    /// Takes `text` if it names an entry of one directory.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        match text {
            "" => Err(NameError::Empty),
            "." | ".." => Err(NameError::Dots),
            _ if text.contains('/') => Err(NameError::Slash),
            _ if text.chars().any(char::is_control) => Err(NameError::Control),
            _ if text.len() > MAX_NAME => Err(NameError::TooLong),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A hostile or long text as it may stand in a message: escaped, cut, in quotes.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 80;
        let cut: String = self.0.chars().take(SHOWN).collect();
        let more = if cut.len() < self.0.len() { "…" } else { "" };
        write!(f, "\"{}{more}\"", cut.escape_debug())
    }
}

/// A user and a group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub user: u32,
    /// The group's.
    pub group: u32,
}

/// A directory's entries.
pub type Entries = BTreeMap<Name, Node>;

/// A file or a directory to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Permissions, at most 0777.
        mode: u32,
        /// All of its bytes.
        content: Vec<u8>,
        /// Only makes the file where nothing of the name is there from elsewhere.
        placeholder: bool,
        /// Whose it is, if not the writer's.
        owner: Option<Owner>,
    },
    /// A directory.
    Directory {
        /// Permissions, at most 0777; its owner always has all of them.
        mode: u32,
        /// What is in it.
        entries: Entries,
    },
}

impl Node {
    /// A file with these permissions and bytes.
    #[must_use]
    pub fn file(mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self::File { mode: mode & 0o777, content: content.into(), placeholder: false, owner: None }
    }

    /// The same, but somebody's; directories stay as they are.
    #[must_use]
    pub fn owned_by(mut self, whose: Owner) -> Self {
        if let Self::File { owner, .. } = &mut self {
            *owner = Some(whose);
        }
        self
    }

    /// An empty file that is there so that others can bind it; never replaces anybody else's.
    #[must_use]
    pub fn placeholder(mode: u32) -> Self {
        Self::File { mode: mode & 0o777, content: Vec::new(), placeholder: true, owner: None }
    }

    /// A directory. Its owner keeps read, write and search permission, or a later run could not replace what is in it.
    #[must_use]
    pub fn directory(mode: u32, entries: Entries) -> Self {
        Self::Directory { mode: mode & 0o777 | 0o700, entries }
    }
}

/// How many files and directories there are, all levels together.
#[must_use]
pub fn count(entries: &Entries) -> usize {
    entries
        .values()
        .map(|node| match node {
            Node::File { .. } => 1,
            Node::Directory { entries, .. } => 1 + count(entries),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component_and_nothing_else() {
        for good in ["a", "authorized_keys", ".hidden", "...", " ", "a b", "naïve", &"x".repeat(255)] {
            assert_eq!(Name::new(good).map(|n| n.0), Ok(good.to_owned()), "{good}");
        }
        for (bad, why) in [
            ("", NameError::Empty),
            (".", NameError::Dots),
            ("..", NameError::Dots),
            ("/", NameError::Slash),
            ("/etc/passwd", NameError::Slash),
            ("../../etc/passwd", NameError::Slash),
            ("a/b", NameError::Slash),
            ("a\0b", NameError::Control),
            ("a\nb", NameError::Control),
            ("\u{9b}31m", NameError::Control),
            (&"x".repeat(256), NameError::TooLong),
        ] {
            assert_eq!(Name::new(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_hostile_name_is_shown_escaped_and_cut() {
        assert_eq!(Quoted("a\x1b[2J\n").to_string(), r#""a\u{1b}[2J\n""#);
        assert_eq!(Quoted(&"é".repeat(200)).to_string(), format!("\"{}…\"", "é".repeat(80)));
    }

    #[test]
    fn permissions_are_permissions_alone_and_a_directory_stays_its_owners() {
        assert_eq!(
            Node::file(0o4755, ""),
            Node::File { mode: 0o755, content: vec![], placeholder: false, owner: None }
        );
        assert_eq!(
            Node::directory(0, Entries::new()),
            Node::Directory { mode: 0o700, entries: Entries::new() }
        );
    }
}
