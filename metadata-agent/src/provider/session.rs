//! What all providers do: ask for documents, take what is usable, and note what is not.

use serde_json::Value;

use super::documents::Documents;
use super::{Problem, Reading};
use crate::fetch::FetchError;
use crate::metadata::{Document, Fact};
use crate::user_data;

/// Largest JSON document, in bytes. Nova's are a few kilobytes; `meta` may bring 128 values of 255 characters.
pub const MAX_JSON: usize = 1024 * 1024;
/// Largest of the one-line documents, and of a list of keys, in bytes.
pub const MAX_VALUE: usize = 16 * 1024;

/// One provider's documents on their way into a reading.
#[derive(Debug)]
pub struct Session<'d> {
    /// Where the documents are.
    pub documents: &'d mut dyn Documents,
    /// What has come of them so far.
    pub reading: Reading,
}

impl<'d> Session<'d> {
    /// Nothing read yet.
    pub fn new(documents: &'d mut dyn Documents) -> Self {
        Self { documents, reading: Reading::default() }
    }

    /// The document without which there is no metadata here.
    ///
    /// # Errors
    /// [`FetchError`]; [`FetchError::NotThere`] with `nothing` if it is not there.
    pub fn required(
        &mut self,
        path: &str,
        limit: usize,
        nothing: &'static str,
    ) -> Result<Vec<u8>, FetchError> {
        self.documents.get(path, limit)?.ok_or_else(|| self.not_there(nothing))
    }

    /// [`Self::required`] for a JSON object: anything else is somebody else's.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub fn required_json(&mut self, path: &str, nothing: &'static str) -> Result<Value, FetchError> {
        let bytes = self.required(path, MAX_JSON, nothing)?;
        let parsed = serde_json::from_slice(&bytes).ok().filter(Value::is_object);
        parsed.ok_or_else(|| self.not_there(nothing))
    }

    /// [`Self::required`] for the fact that every machine has. A page that is no such fact, or an
    /// empty one, is somebody else's.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub fn required_fact(&mut self, fact: Fact, path: &str, nothing: &'static str) -> Result<(), FetchError> {
        let value = self.required(path, MAX_VALUE, nothing)?;
        let usable = self.reading.metadata.set(fact, &value).is_ok();
        let said = usable && self.reading.metadata.get(fact).is_some();
        if said { Ok(()) } else { Err(self.not_there(nothing)) }
    }

    /// That somebody answers without what is asked for.
    pub fn not_there(&self, nothing: &'static str) -> FetchError {
        FetchError::NotThere { address: self.documents.origin(), nothing }
    }

    /// A document that need not be there. Once the time is up, nothing more is asked: one complaint is enough.
    pub fn document(&mut self, path: &str, limit: usize) -> Option<Vec<u8>> {
        if self.documents.out_of_time() {
            return None;
        }
        self.documents.get(path, limit).unwrap_or_else(|error| {
            self.problem(error);
            None
        })
    }

    /// Each fact that its document has.
    pub fn facts(&mut self, facts: &[(Fact, &str)]) {
        for &(fact, path) in facts {
            if let Some(value) = self.document(path, MAX_VALUE) {
                self.fact(fact, &value);
            }
        }
    }

    /// Each fact that has a text or a number at its place (RFC 6901) in `value`.
    pub fn facts_in(&mut self, value: &Value, facts: &[(Fact, &str)]) {
        for &(fact, pointer) in facts {
            if let Some(text) = value.pointer(pointer).and_then(scalar) {
                self.fact(fact, text.as_bytes());
            }
        }
    }

    /// One fact.
    pub fn fact(&mut self, fact: Fact, value: &[u8]) {
        if let Err(invalid) = self.reading.metadata.set(fact, value) {
            self.problem(invalid);
        }
    }

    /// One public key, or several with a line each: what OpenStack calls a key pair may be a whole file for sshd. `name`
    /// is what a complaint calls it.
    pub fn key(&mut self, name: &str, key: &[u8]) {
        for line in key.split(|&b| b == b'\n').filter(|line| !line.starts_with(b"#")) {
            if let Err(invalid) = self.reading.metadata.add_key(name, line) {
                self.problem(invalid);
            }
        }
    }

    /// Public keys, one a line.
    pub fn key_lines(&mut self, lines: &[u8]) {
        for (index, line) in lines.split(|&b| b == b'\n').enumerate() {
            self.key(&format!("in line {}", index + 1), line);
        }
    }

    /// Public keys in a JSON list of texts.
    pub fn key_list(&mut self, list: Option<&Value>) {
        for (index, key) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
            if let Some(key) = key.as_str() {
                self.key(&format!("number {index}"), key.as_bytes());
            }
        }
    }

    /// User-data, if there is any.
    pub fn user_data(&mut self, path: &str) {
        if self.documents.out_of_time() {
            return;
        }
        match self.documents.get(path, user_data::MAX_SIZE) {
            Ok(user_data) => self.reading.metadata.user_data = user_data,
            Err(error) => self.problem(Problem::UserData(error)),
        }
    }

    /// A document that is kept as it is, unless it is empty.
    pub fn keep(&mut self, document: Document, path: &str, limit: usize) {
        if let Some(bytes) = self.document(path, limit).filter(|bytes| !bytes.is_empty()) {
            self.reading.metadata.keep(document, bytes);
        }
    }

    /// A JSON document that is kept as it is, unless it is empty: `{}` is how nova says that there is none.
    pub fn keep_json(&mut self, document: Document, path: &str) {
        let Some(bytes) = self.document(path, MAX_JSON) else { return };
        if self.parse(path, &bytes).is_some_and(|value| value.as_object().is_none_or(|map| !map.is_empty())) {
            self.reading.metadata.keep(document, bytes);
        }
    }

    /// The JSON in `bytes`, which came from `path`.
    pub fn parse(&mut self, path: &str, bytes: &[u8]) -> Option<Value> {
        serde_json::from_slice(bytes).map_err(|error| self.problem(Problem::not_json(path, &error))).ok()
    }

    /// Notes what is not usable.
    pub fn problem(&mut self, problem: impl Into<Problem>) {
        self.reading.problems.push(problem.into());
    }
}

/// The text of a JSON text or number.
#[must_use]
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
