//! What YAML is read into, and why it is not.

use thiserror::Error;

/// Maps and lists in each other.
pub(super) const MAX_DEPTH: usize = 16;
/// Values of all kinds.
pub(super) const MAX_VALUES: usize = 16 * 1024;

/// Lines, each of which takes ten times the memory of a short one.
pub(super) const MAX_LINES: usize = 64 * 1024;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Yaml {
    /// Nothing, `~` or `null`.
    Null,
    /// Text as it stands; `plain` if without quotes.
    Text {
        text: String,
        plain: bool,
    },
    /// `!!binary`.
    Bytes(Vec<u8>),
    List(Vec<Yaml>),
    /// In the order of the document; no key is there twice.
    Map(Vec<(String, Yaml)>),
}

/// What is wrong, and in which line, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("line {line}: {fault}")]
pub struct YamlError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// A tab before the text.
    #[error("a tab in the indentation; YAML takes blanks only")]
    Tab,
    /// Further right or left than anything it could belong to.
    #[error("its indentation fits nothing above it")]
    Indentation,
    /// No `key:`.
    #[error("\"key: value\" expected")]
    Key,
    /// The same key again.
    #[error("the key is there twice")]
    Twice,
    /// Something behind the value.
    #[error("something follows the end of the value")]
    Trailing,
    /// A quote or bracket without its other.
    #[error("a quote or bracket is not closed")]
    Open,
    /// `\q`.
    #[error("an unknown escape in double quotes")]
    Escape,
    /// `&`, `*`, `<<`, `!`.
    #[error("anchors, aliases, merge keys and tags are not read here; quote the text if it is one")]
    Unsupported,
    /// Not the base64 that `!!binary` says.
    #[error("!!binary without base64")]
    Binary,
    /// `|9x`.
    #[error("an unknown indicator after \"|\" or \">\"")]
    Block,
    /// A second document.
    #[error("a second document")]
    Document,
    /// Too deep.
    #[error("nested deeper than {MAX_DEPTH}")]
    Depth,
    /// Too many.
    #[error("more than {MAX_VALUES} values")]
    Values,
    /// Too many.
    #[error("more than {MAX_LINES} lines")]
    Lines,
}
