//! The part of YAML 1.2 that people write into `#cloud-config`, and nothing else.
//!
//! | read | refused |
//! | --- | --- |
//! | block maps and lists, also `- key: value` | anchors, aliases and merge keys: they multiply what is small |
//! | `{…}` and `[…]`, over several lines | tags but `!!binary` and `!!str` |
//! | plain, `'quoted'` and `"quoted"` text of one line | text that goes on in the next line, but in a block |
//! | `\|` and `>` with `+`, `-` and a digit | keys that are no text, a key twice, tabs as indentation |
//! | comments, one `---` at the beginning | more documents than one |
//!
//! A plain value stays the text that it is: what is a number or a yes is the reader's to know.

use super::flow;
use super::value::{Fault, MAX_DEPTH, MAX_LINES, MAX_VALUES, Yaml, YamlError};
use crate::user_data::base64;

/// One line, or what is left of it once its `- ` is read.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    indent: usize,
    /// Without indentation and line end.
    text: &'a str,
    raw: &'a str,
}

impl Line<'_> {
    fn is_blank(&self) -> bool {
        self.text.is_empty() || self.text.starts_with('#')
    }

    fn is_item(&self) -> bool {
        self.text == "-" || self.text.starts_with("- ")
    }
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Yaml, YamlError> {
    if text.lines().nth(MAX_LINES).is_some() {
        return Err(YamlError { line: MAX_LINES + 1, fault: Fault::Lines });
    }
    let lines = text.lines().map(|raw| {
        let indent = raw.len() - raw.trim_start_matches(' ').len();
        Line { indent, text: raw.get(indent..).unwrap_or_default().trim_end(), raw }
    });
    let mut parser = Parser { lines: lines.collect(), at: 0, values: 0 };
    if parser.peek()?.is_some_and(|line| line.raw.trim_end() == "---") {
        parser.at += 1;
    }
    let value = parser.block(0, 0)?;
    match parser.peek()? {
        None => Ok(value),
        Some(line) if matches!(line.raw.trim_end(), "---" | "...") => Err(parser.error(Fault::Document)),
        Some(_) => Err(parser.error(Fault::Indentation)),
    }
}

struct Parser<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
    values: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, fault: Fault) -> YamlError {
        YamlError { line: self.at + 1, fault }
    }

    /// The next line that says something.
    fn peek(&mut self) -> Result<Option<Line<'a>>, YamlError> {
        while let Some(line) = self.lines.get(self.at).copied() {
            if !line.is_blank() {
                let tab = line.text.starts_with('\t');
                return if tab { Err(self.error(Fault::Tab)) } else { Ok(Some(line)) };
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn count(&mut self, depth: usize) -> Result<(), YamlError> {
        self.values += 1;
        match () {
            () if depth > MAX_DEPTH => Err(self.error(Fault::Depth)),
            () if self.values > MAX_VALUES => Err(self.error(Fault::Values)),
            () => Ok(()),
        }
    }

    /// What begins at the next line, if that is indented by `least` at least.
    fn block(&mut self, least: usize, depth: usize) -> Result<Yaml, YamlError> {
        self.count(depth)?;
        match self.peek()? {
            Some(line) if line.indent < least => Ok(Yaml::Null),
            Some(line) if line.is_item() => self.list(line.indent, depth),
            Some(line) if key(line.text).is_some() => self.map(line.indent, depth),
            Some(line) => {
                let parent = line.indent.checked_sub(1);
                self.value(line.text, parent.unwrap_or_default())
            }
            None => Ok(Yaml::Null),
        }
    }

    fn list(&mut self, indent: usize, depth: usize) -> Result<Yaml, YamlError> {
        let mut items = Vec::new();
        while let Some(line) = self.peek()?.filter(|line| line.indent == indent && line.is_item()) {
            let rest = line.text.get(1..).unwrap_or_default();
            let text = rest.trim_start_matches(' ');
            if text.is_empty() || text.starts_with('#') {
                self.at += 1;
                items.push(self.block(indent + 1, depth + 1)?);
            } else if key(text).is_some() || text == "-" || text.starts_with("- ") {
                // What follows the dash stands as if in a line of its own.
                let inner = Line { indent: indent + 1 + rest.len() - text.len(), text, ..line };
                if let Some(slot) = self.lines.get_mut(self.at) {
                    *slot = inner;
                }
                items.push(self.block(indent + 1, depth + 1)?);
            } else {
                self.count(depth + 1)?;
                items.push(self.value(text, indent)?);
            }
        }
        self.end(indent)?;
        Ok(Yaml::List(items))
    }

    fn map(&mut self, indent: usize, depth: usize) -> Result<Yaml, YamlError> {
        let mut entries: Vec<(String, Yaml)> = Vec::new();
        while let Some(line) = self.peek()?.filter(|line| line.indent == indent) {
            if line.is_item() || matches!(line.raw, "---" | "...") {
                break;
            }
            let (name, text) = key(line.text).ok_or_else(|| self.error(Fault::Key))?;
            let name = name.map_err(|fault| self.error(fault))?;
            if name == "<<" {
                return Err(self.error(Fault::Unsupported));
            }
            if entries.iter().any(|(known, _)| *known == name) {
                return Err(self.error(Fault::Twice));
            }
            let value = if text.is_empty() || text.starts_with('#') {
                self.at += 1;
                // A list may stand as far left as the key that it belongs to.
                let item = self.peek()?.is_some_and(|next| next.indent == indent && next.is_item());
                self.block(if item { indent } else { indent + 1 }, depth + 1)?
            } else {
                self.count(depth + 1)?;
                self.value(text, indent)?
            };
            entries.push((name, value));
        }
        self.end(indent)?;
        Ok(Yaml::Map(entries))
    }

    /// After the last entry: what comes must belong to something further left, or to another kind at the same place.
    fn end(&mut self, indent: usize) -> Result<(), YamlError> {
        match self.peek()? {
            Some(line) if line.indent > indent => Err(self.error(Fault::Indentation)),
            _ => Ok(()),
        }
    }

    /// A value that begins in the current line, inside something that is indented by `parent`.
    fn value(&mut self, text: &str, parent: usize) -> Result<Yaml, YamlError> {
        if let Some(text) = text.strip_prefix("!!binary") {
            let wrong = self.error(Fault::Binary);
            let Yaml::Text { text, .. } = self.value(text.trim_start(), parent)? else { return Err(wrong) };
            return base64::decode(text.as_bytes()).map(Yaml::Bytes).map_err(|_| wrong);
        }
        let text = text.strip_prefix("!!str ").unwrap_or(text).trim_start();
        match text.chars().next() {
            Some(style @ ('|' | '>')) => self.text_block(text.get(1..).unwrap_or_default(), style, parent),
            Some('{' | '[') => self.flow(text, parent),
            _ => {
                let value = flow::scalar(text).map_err(|fault| self.error(fault))?;
                self.at += 1;
                match self.peek()? {
                    // Plain text may go on in the next line; it does so by mistake as often as not.
                    Some(line) if line.indent > parent => Err(self.error(Fault::Indentation)),
                    _ => Ok(value),
                }
            }
        }
    }

    /// `{…}` or `[…]`, to the line in which it is closed.
    fn flow(&mut self, text: &str, parent: usize) -> Result<Yaml, YamlError> {
        let begun = self.error(Fault::Open);
        let mut whole = text.to_owned();
        let mut open = flow::Open::default();
        open.line(text);
        self.at += 1;
        while !open.is_closed() {
            let line = self.peek()?.filter(|line| line.indent > parent).ok_or(begun)?;
            open.line(line.text);
            whole.push('\n');
            whole.push_str(line.text);
            self.at += 1;
        }
        let budget = MAX_VALUES.saturating_sub(self.values);
        let (value, used) = flow::parse(&whole, budget).map_err(|fault| YamlError { fault, ..begun })?;
        self.values += used;
        Ok(value)
    }

    /// `|` or `>`: the lines that are indented further than what it is in.
    fn text_block(&mut self, header: &str, style: char, parent: usize) -> Result<Yaml, YamlError> {
        let header = header.split_once(" #").map_or(header, |(header, _)| header).trim();
        let mut keep = None;
        let mut indent = None;
        for indicator in header.chars() {
            match indicator {
                '+' | '-' if keep.is_none() => keep = Some(indicator),
                '1'..='9' if indent.is_none() => {
                    indent = indicator.to_digit(10).map(|digit| parent + digit as usize);
                }
                _ => return Err(self.error(Fault::Block)),
            }
        }
        self.at += 1;
        let rest = self.lines.get(self.at..).unwrap_or_default();
        let blank = |line: &Line<'_>| line.raw.trim_matches(' ').is_empty();
        let first = rest.iter().find(|line| !blank(line)).map_or(0, |line| line.indent);
        let indent = indent.unwrap_or(first.max(parent + 1));
        let taken: Vec<&str> = rest
            .iter()
            .take_while(|line| blank(line) || line.indent >= indent)
            .map(|line| line.raw.get(indent..).unwrap_or_default())
            .collect();
        self.at += taken.len();
        let trailing = taken.iter().rev().take_while(|line| line.is_empty()).count();
        let lines = taken.get(..taken.len() - trailing).unwrap_or_default();
        let mut text = if style == '|' { lines.join("\n") } else { fold(lines) };
        match keep {
            Some('-') => {}
            Some(_) if lines.is_empty() => text.push_str(&"\n".repeat(trailing)),
            Some(_) => text.push_str(&"\n".repeat(trailing + 1)),
            None if text.is_empty() => {}
            None => text.push('\n'),
        }
        Ok(Yaml::Text { text, plain: false })
    }
}

/// Lines next to each other become one; an empty line is a line's end, and so is any before or after an indented one.
fn fold(lines: &[&str]) -> String {
    let mut text = String::new();
    let mut empty = 0;
    let mut before: Option<&str> = None;
    for &line in lines {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if let Some(before) = before {
            let indented = before.starts_with([' ', '\t']) || line.starts_with([' ', '\t']);
            match (indented, empty) {
                (true, _) => text.push_str(&"\n".repeat(empty + 1)),
                (false, 0) => text.push(' '),
                (false, _) => text.push_str(&"\n".repeat(empty)),
            }
        } else {
            text.push_str(&"\n".repeat(empty));
        }
        text.push_str(line);
        (empty, before) = (0, Some(line));
    }
    text
}

/// The key of a line and what follows it; none if it has none.
fn key(text: &str) -> Option<(Result<String, Fault>, &str)> {
    if text.starts_with(['"', '\'']) {
        let (name, rest) = match flow::quoted(text) {
            Ok(found) => found,
            Err(_) => return None,
        };
        let rest = rest.trim_start().strip_prefix(':')?;
        return (rest.is_empty() || rest.starts_with(' ')).then(|| (Ok(name), rest.trim_start()));
    }
    if text.starts_with(['{', '[', '|', '>', '#', '!']) {
        return None;
    }
    let end = text.find(": ").or_else(|| text.strip_suffix(':').map(str::len))?;
    let (name, rest) = text.split_at_checked(end)?;
    if name.contains(" #") {
        return None;
    }
    let name = if name.starts_with(['&', '*', '?', '@', '`', '%']) {
        Err(Fault::Unsupported)
    } else {
        Ok(name.trim_end().to_owned())
    };
    Some((name, rest.get(1..).unwrap_or_default().trim_start()))
}
