//! Options told from arguments, and what both may be.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::ParseError;

/// An option: its names, and whether a value follows.
pub type Spec = (&'static [&'static str], bool);

/// Words, sorted: options by their first name, and the rest.
#[derive(Debug, Default)]
pub struct Words {
    /// Each option with its values, in order; a flag's is empty.
    pub given: BTreeMap<&'static str, Vec<OsString>>,
    /// What is no option.
    pub rest: Vec<OsString>,
}

impl Words {
    /// Whether the option was given.
    pub fn flag(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The option's last value.
    pub fn value(&mut self, name: &str) -> Option<OsString> {
        self.given.remove(name).and_then(|mut values| values.pop())
    }

    /// The option's last value, as a path.
    pub fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    /// The option's last value, as text.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, ParseError> {
        self.value(name).map(|value| text(name, value)).transpose()
    }

    /// The one word that is left, which is an id.
    pub fn id(self) -> Result<String, ParseError> {
        let mut rest = self.rest.into_iter();
        let id = checked_id(rest.next().ok_or(ParseError::Missing("the container's id"))?)?;
        none(rest.next()).map(|()| id)
    }
}

/// Takes options from `words` until one is no option (`first_word_ends`), or to the end.
pub fn sort(
    words: &mut VecDeque<OsString>,
    options: &[Spec],
    first_word_ends: bool,
) -> Result<Words, ParseError> {
    let mut sorted = Words::default();
    while let Some(word) = words.pop_front() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            sorted.rest.extend(words.drain(..));
        } else if text.len() > 1 && text.starts_with('-') {
            let (name, attached) = match text.split_once('=') {
                // As it is: a path need not be UTF-8.
                Some((name, _)) => (name, word.as_bytes().splitn(2, |byte| *byte == b'=').nth(1)),
                None => (text.as_str(), None),
            };
            let attached = attached.map(|value| OsStr::from_bytes(value).to_owned());
            let Some((names, takes_value)) = options.iter().find(|(names, _)| names.contains(&name)) else {
                return Err(ParseError::Option(name.to_owned()));
            };
            let value = match (takes_value, attached) {
                (true, Some(value)) => value,
                (true, None) => words.pop_front().ok_or_else(|| ParseError::Value(name.to_owned()))?,
                (false, None) => OsString::new(),
                (false, Some(value)) if value == "true" => OsString::new(),
                (false, Some(_)) => return Err(ParseError::Option(text)),
            };
            if let Some(first) = names.first() {
                sorted.given.entry(first).or_default().push(value);
            }
        } else if first_word_ends {
            words.push_front(word);
            break;
        } else {
            sorted.rest.push(word);
        }
    }
    Ok(sorted)
}

/// Whether `id` can be a directory, a cgroup and a containerd id at once.
#[must_use]
pub fn valid_id(id: &str) -> bool {
    id.len() <= 76
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'))
}

/// The word as text; `option` says in the error what it was given for.
pub fn text(option: &'static str, value: OsString) -> Result<String, ParseError> {
    value
        .into_string()
        .map_err(|value| ParseError::BadValue { option, value: value.to_string_lossy().into_owned() })
}

/// The word as a container's id.
pub fn checked_id(word: OsString) -> Result<String, ParseError> {
    match word.into_string() {
        Ok(id) if valid_id(&id) => Ok(id),
        Ok(id) => Err(ParseError::Id(id)),
        Err(id) => Err(ParseError::Id(id.to_string_lossy().into_owned())),
    }
}

/// Refuses a word where the command has no use for one.
pub fn none(extra: Option<OsString>) -> Result<(), ParseError> {
    extra.map_or(Ok(()), |word| Err(ParseError::Extra(word.to_string_lossy().into_owned())))
}
