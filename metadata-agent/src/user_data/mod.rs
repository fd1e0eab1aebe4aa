//! User-data in every form that people use, from whom we do not trust.
//!
//! | form | known by | becomes |
//! | --- | --- | --- |
//! | `json` | `{` | files, as LinuxKit has it |
//! | `cloud_config` | `#cloud-config` | host name, keys, files, time and name servers |
//! | `mime` | `Content-Type: multipart/…`, `MIME-Version:` | what its parts become, the later over the earlier |
//! | `script` | `#!` | `scripts/NAME`, which nobody runs here |
//! | `gzip` | its first two bytes | what is in it |
//! | `base64` | decodes to one of the others | what is in it |
//!
//! Whatever it is, the file `userdata` has it as it came. What is wrong in it costs itself and not the whole, and
//! messages say where, never what: user-data holds secrets.

mod base64;
pub mod cloud_config;
mod gzip;
mod json;
mod mime;
mod owner;
mod script;

use std::fmt;

use thiserror::Error;

use crate::metadata::{RESERVED, USER_DATA};
use crate::source;
use crate::tree::{Entries, Name, NameError, Node, Quoted};

/// Largest user-data, in bytes. Nova takes 65,535 bytes of base64, which is 49,151 bytes of data; EC2 takes 16,384.
pub const MAX_SIZE: usize = 64 * 1024;
/// Largest result of all unpacking and decoding together, in bytes.
const MAX_UNPACKED: usize = 4 * 1024 * 1024;
/// Files and directories together.
const MAX_ENTRIES: usize = 1024;
/// Directories in directories. Eight names of 255 bytes stay within `PATH_MAX`.
const MAX_DEPTH: usize = 8;
/// Forms in forms.
const MAX_NESTING: usize = 6;

/// One form of user-data.
struct Form {
    fits: fn(&[u8]) -> bool,
    read: fn(&[u8], &mut Gathering),
}

/// Every form, in the order in which they are tried.
const FORMS: &[Form] = &[gzip::FORM, cloud_config::FORM, script::FORM, mime::FORM, json::FORM, base64::FORM];

/// What user-data asks for.
#[derive(Debug, Default, PartialEq)]
pub struct UserData {
    /// Files that can be made.
    pub entries: Entries,
    /// A name for the machine, in place of the cloud's; not yet checked.
    pub hostname: Option<String>,
    /// Public keys beside the cloud's; not yet checked.
    pub keys: Vec<String>,
    /// What is wrong.
    pub refused: Vec<Refusal>,
    /// What is right, and not done here.
    pub ignored: Vec<Ignored>,
}

/// Something that is not done because it is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The keys that lead to it, joined with ` → `; empty if it is the whole.
    pub path: String,
    /// What is wrong.
    pub why: Why,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "user-data: {}; kept raw as the file {USER_DATA} alone", self.why)
        } else {
            write!(f, "user-data: {}: {}; refused", Quoted(&self.path), self.why)
        }
    }
}

/// Something that only others do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// As in [`Refusal`].
    pub path: String,
    /// What it is.
    pub what: &'static str,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "user-data: {}; kept raw as the file {USER_DATA} alone", self.what)
        } else {
            write!(f, "user-data: {}: {}", Quoted(&self.path), self.what)
        }
    }
}

/// What is wrong with a part of user-data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Why {
    /// A file name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A name of our own.
    #[error("the name is reserved for metadata")]
    Reserved,
    /// Directories in directories.
    #[error("directories are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// Files.
    #[error("there are more than {MAX_ENTRIES} files and directories")]
    TooMany,
    /// Forms in forms.
    #[error("one form is wrapped in another more than {MAX_NESTING} times")]
    Nested,
    /// Unpacked.
    #[error("more than {MAX_UNPACKED} bytes, or suspiciously much for its size, when unpacked")]
    TooLarge,
    /// Bytes that are no text where only text can be.
    #[error("not UTF-8")]
    NotText,
    /// LinuxKit's form.
    #[error(transparent)]
    Json(#[from] json::Wrong),
    /// `#cloud-config`.
    #[error(transparent)]
    CloudConfig(#[from] cloud_config::Wrong),
    /// MIME.
    #[error(transparent)]
    Mime(#[from] mime::Wrong),
    /// What should be gzip.
    #[error("not a whole gzip stream")]
    Gzip,
    /// What should be base64.
    #[error("not base64")]
    Base64,
}

/// Reads user-data, of any bytes.
#[must_use]
pub fn parse(bytes: &[u8]) -> UserData {
    let mut gathering = Gathering { unpacked_left: MAX_UNPACKED, ..Gathering::default() };
    if !bytes.is_empty() {
        gathering.read(bytes);
    }
    gathering.found
}

/// Whether bytes have a form that more than decoding is known of.
fn is_known(bytes: &[u8]) -> bool {
    FORMS.iter().any(|form| (form.fits)(bytes))
}

/// What has been read so far, and how much more may be.
#[derive(Default)]
struct Gathering {
    found: UserData,
    /// The keys that lead to what is being read.
    path: Vec<String>,
    nesting: usize,
    entries: usize,
    unpacked_left: usize,
}

impl Gathering {
    fn read(&mut self, bytes: &[u8]) {
        match FORMS.iter().find(|form| (form.fits)(bytes)) {
            Some(form) if self.nesting < MAX_NESTING => {
                self.nesting += 1;
                (form.read)(bytes, self);
                self.nesting -= 1;
            }
            Some(_) => self.refuse(&[], Why::Nested),
            None => self.ignore(&[], "neither JSON, #cloud-config, a script, MIME nor gzip"),
        }
    }

    /// Reads `bytes` that were found at `key`.
    fn read_at(&mut self, key: &str, read: impl FnOnce(&mut Self)) {
        self.path.push(key.to_owned());
        read(self);
        self.path.pop();
    }

    /// Counts `bytes` that were made of others.
    fn unpacked(&mut self, bytes: usize) -> Result<(), Why> {
        self.unpacked_left = self.unpacked_left.checked_sub(bytes).ok_or(Why::TooLarge)?;
        Ok(())
    }

    fn refuse(&mut self, keys: &[&str], why: impl Into<Why>) {
        let path = self.place(keys);
        self.found.refused.push(Refusal { path, why: why.into() });
    }

    fn ignore(&mut self, keys: &[&str], what: &'static str) {
        let path = self.place(keys);
        self.found.ignored.push(Ignored { path, what });
    }

    fn place(&self, keys: &[&str]) -> String {
        let above = self.path.iter().map(String::as_str);
        above.chain(keys.iter().copied()).collect::<Vec<_>>().join(" → ")
    }

    /// Counts one more file or directory.
    fn count(&mut self) -> Result<(), Why> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES { Err(Why::TooMany) } else { Ok(()) }
    }

    /// Adds a file at a path from the top, with the directories above it. The later file of a name is taken, unless it is
    /// to be appended.
    fn add_file(&mut self, path: &[Name], file: Node, append: bool) -> Result<(), Why> {
        let Some((name, above)) = path.split_last() else { return Err(NameError::Empty.into()) };
        if above.len() > MAX_DEPTH {
            return Err(Why::TooDeep);
        }
        let top = path.first().unwrap_or(name);
        if is_reserved(top.as_str()) {
            return Err(Why::Reserved);
        }
        for _ in path {
            self.count()?;
        }
        let mut at = &mut self.found.entries;
        for name in above {
            let node = at.entry(name.clone()).or_insert_with(directory);
            if matches!(node, Node::File { .. }) {
                *node = directory();
            }
            match node {
                Node::Directory { entries, .. } => at = entries,
                Node::File { .. } => return Ok(()), // was replaced above
            }
        }
        match (at.get_mut(name), file) {
            (Some(Node::File { content, .. }), Node::File { content: more, .. }) if append => {
                content.extend(more);
            }
            (_, file) => {
                at.insert(name.clone(), file);
            }
        }
        Ok(())
    }
}

fn directory() -> Node {
    Node::directory(0o755, Entries::new())
}

/// Lays `new` over `entries`: directories become one, files are replaced.
fn merge(entries: &mut Entries, new: Entries) {
    for (name, node) in new {
        match (entries.get_mut(&name), node) {
            (Some(Node::Directory { mode, entries }), Node::Directory { mode: new_mode, entries: new }) => {
                *mode = new_mode;
                merge(entries, new);
            }
            (_, node) => {
                entries.insert(name, node);
            }
        }
    }
}

/// Names at the top that are ours: what metadata writes, and what [`crate::materialise`] keeps for itself.
fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name == source::FILE || crate::materialise::is_internal(name)
}

#[cfg(test)]
mod tests;
