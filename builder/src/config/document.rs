//! One source on its way to a [`Config`](super::Config): its text, its tree, and its problems.

use std::path::PathBuf;
use std::sync::Arc;

use super::local_image::LocalImage;
use super::problem::{Place, Problem, Spot};
use super::yaml::{self, Node, Value};

/// How much of a value is quoted in a message, in characters.
const QUOTED: usize = 60;
/// How long a message may be, in characters.
const MESSAGE: usize = 300;
/// How many problems of a source are kept.
pub const MAX_PROBLEMS: usize = 1000;

/// A source that was read.
#[derive(Debug)]
pub(super) struct Document<'s> {
    /// Its name, for messages.
    pub name: Arc<str>,
    /// Its text.
    text: &'s str,
    /// What relative paths in it are relative to.
    pub dir: Option<PathBuf>,
    /// Its tree; an empty mapping if it could not be read.
    pub root: Node,
    /// Where `@pkg:` was written.
    pub packages: Vec<Place>,
    /// The images that are in files, and where they are written.
    pub local_images: Vec<(Place, LocalImage)>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// What the user should know.
    pub warnings: Vec<Problem>,
}

impl<'s> Document<'s> {
    /// Reads a source; what is wrong with it is among its problems.
    pub fn read(name: &str, text: &'s str, dir: Option<PathBuf>) -> Self {
        let root = Node { at: Place { line: 1, column: 1 }, source: 0..0, value: Value::Map(Vec::new()) };
        let (problems, warnings) = (Vec::new(), Vec::new());
        let (packages, local_images) = (Vec::new(), Vec::new());
        let mut document =
            Document { name: name.into(), text, dir, root, packages, local_images, problems, warnings };
        match yaml::parse(text) {
            Ok(Some(root)) => document.root = root,
            Ok(None) => document.problem(Place { line: 1, column: 1 }, "the file is empty".to_owned()),
            Err(error) => document.problem(error.at.unwrap_or(Place { line: 1, column: 1 }), error.message),
        }
        document
    }

    /// Takes down a problem.
    pub fn problem(&mut self, at: Place, message: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(self.note(at, &message));
        }
    }

    /// Takes down a warning.
    pub fn warning(&mut self, at: Place, message: &str) {
        if self.warnings.len() < MAX_PROBLEMS {
            self.warnings.push(self.note(at, message));
        }
    }

    /// The place with the source's name.
    pub fn spot(&self, at: Place) -> Spot {
        Spot { file: Arc::clone(&self.name), line: at.line, column: at.column }
    }

    /// What was found where something else was expected, in the words of the source.
    pub fn found(&self, node: &Node) -> String {
        match &node.value {
            Value::Null => "nothing".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Text(text) => format!("`{}`", cut(text)),
            Value::Bool(value) => self.written(node).unwrap_or_else(|| value.to_string()),
            Value::Int(value) => self.written(node).unwrap_or_else(|| value.to_string()),
            Value::Float => self.written(node).unwrap_or_else(|| "a number".to_owned()),
        }
    }

    fn written(&self, node: &Node) -> Option<String> {
        let text = self.text.get(node.source.clone())?.trim();
        (!text.is_empty()).then(|| cut(text))
    }

    fn note(&self, at: Place, message: &str) -> Problem {
        let message: String =
            message.chars().take(MESSAGE).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let index = usize::try_from(at.line).unwrap_or_default().checked_sub(1);
        let text = index.and_then(|index| self.text.lines().nth(index)).unwrap_or_default();
        // Enough for the snippet; a minified file would otherwise be copied whole for each problem.
        let keep = usize::try_from(at.column).unwrap_or_default().saturating_add(MESSAGE);
        Problem { spot: self.spot(at), message, text: text.chars().take(keep).collect() }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
