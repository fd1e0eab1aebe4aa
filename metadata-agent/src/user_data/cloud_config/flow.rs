//! Text with and without quotes, and `{…}` and `[…]`.

use super::value::{Fault, MAX_DEPTH, Yaml};

/// What can't begin a plain text.
const INDICATORS: [char; 10] = ['&', '*', '!', '@', '`', '%', '|', '>', ',', '?'];

/// A value of one line: quoted, or plain up to a comment.
pub(super) fn scalar(text: &str) -> Result<Yaml, Fault> {
    if text.starts_with(['"', '\'']) {
        let (text, rest) = quoted(text)?;
        let rest = rest.trim_start();
        let trailing = !rest.is_empty() && !rest.starts_with('#');
        return if trailing { Err(Fault::Trailing) } else { Ok(Yaml::Text { text, plain: false }) };
    }
    let end = text.find(" #").unwrap_or(text.len());
    plain(text.get(..end).unwrap_or_default().trim())
}

fn plain(text: &str) -> Result<Yaml, Fault> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Ok(Yaml::Null),
        _ if text.starts_with(INDICATORS) => Err(Fault::Unsupported),
        // `key: value: more` is a mistake in YAML too.
        _ if text.contains(": ") || text.ends_with(':') => Err(Fault::Trailing),
        _ => Ok(Yaml::Text { text: text.to_owned(), plain: true }),
    }
}

/// A text in quotes, and what follows it.
pub(super) fn quoted(text: &str) -> Result<(String, &str), Fault> {
    let mut found = String::new();
    let mut chars = text.char_indices();
    let quote = chars.next().map(|(_, c)| c);
    while let Some((at, c)) = chars.next() {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        match c {
            '\'' if quote == Some('\'') && rest.starts_with('\'') => {
                chars.next();
                found.push('\'');
            }
            _ if Some(c) == quote => return Ok((found, rest)),
            '\\' if quote == Some('"') => found.push(escape(&mut chars)?),
            _ => found.push(c),
        }
    }
    Err(Fault::Open)
}

/// YAML 1.2, 5.7.
fn escape(chars: &mut std::str::CharIndices<'_>) -> Result<char, Fault> {
    let digits = match chars.next().ok_or(Fault::Open)?.1 {
        '0' => return Ok('\0'),
        'a' => return Ok('\x07'),
        'b' => return Ok('\x08'),
        't' | '\t' => return Ok('\t'),
        'n' => return Ok('\n'),
        'v' => return Ok('\x0b'),
        'f' => return Ok('\x0c'),
        'r' => return Ok('\r'),
        'e' => return Ok('\x1b'),
        same @ (' ' | '"' | '/' | '\\') => return Ok(same),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Err(Fault::Escape),
    };
    let mut number = 0;
    for _ in 0..digits {
        let digit = chars.next().and_then(|(_, c)| c.to_digit(16)).ok_or(Fault::Escape)?;
        number = number << 4 | digit;
    }
    char::from_u32(number).ok_or(Fault::Escape)
}

/// Counts brackets outside of quotes, line by line.
#[derive(Debug, Default)]
pub(super) struct Open {
    brackets: usize,
    quote: Option<char>,
}

impl Open {
    pub(super) fn line(&mut self, line: &str) {
        let mut chars = line.chars();
        let mut before = ' ';
        while let Some(c) = chars.next() {
            match (self.quote, c) {
                (Some('"'), '\\') => {
                    chars.next();
                }
                (Some(quote), c) if c == quote => self.quote = None,
                (Some(_), _) => {}
                (None, '#') if before == ' ' => return,
                (None, '"' | '\'') if matches!(before, ' ' | '[' | '{' | ',' | ':') => self.quote = Some(c),
                (None, '[' | '{') => self.brackets += 1,
                (None, ']' | '}') => self.brackets = self.brackets.saturating_sub(1),
                (None, _) => {}
            }
            before = c;
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.brackets == 0
    }
}

/// Reads `{…}` or `[…]`, at most `budget` values; says how many there are.
pub(super) fn parse(text: &str, budget: usize) -> Result<(Yaml, usize), Fault> {
    let mut parser = Parser { rest: text, left: budget };
    let value = parser.value(0)?;
    parser.skip();
    if parser.rest.is_empty() { Ok((value, budget - parser.left)) } else { Err(Fault::Trailing) }
}

struct Parser<'a> {
    rest: &'a str,
    left: usize,
}

impl Parser<'_> {
    /// Passes blanks, line ends and comments.
    fn skip(&mut self) {
        loop {
            let text = self.rest.trim_start();
            let comment = text.starts_with('#') && text.len() < self.rest.len();
            self.rest = if comment { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text };
            if !comment {
                return;
            }
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip();
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, depth: usize) -> Result<Yaml, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.left = self.left.checked_sub(1).ok_or(Fault::Values)?;
        if self.take('[') {
            return self.list(depth);
        }
        if self.take('{') {
            return self.map(depth);
        }
        self.scalar()
    }

    fn list(&mut self, depth: usize) -> Result<Yaml, Fault> {
        let mut items = Vec::new();
        while !self.take(']') {
            items.push(self.value(depth + 1)?);
            self.separator(']')?;
        }
        Ok(Yaml::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Yaml, Fault> {
        let mut entries: Vec<(String, Yaml)> = Vec::new();
        while !self.take('}') {
            let Yaml::Text { text: name, .. } = self.scalar()? else { return Err(Fault::Key) };
            if !self.take(':') {
                return Err(Fault::Key);
            }
            if entries.iter().any(|(known, _)| *known == name) {
                return Err(Fault::Twice);
            }
            let value = self.value(depth + 1)?;
            entries.push((name, value));
            self.separator('}')?;
        }
        Ok(Yaml::Map(entries))
    }

    /// A comma, or the end without one.
    fn separator(&mut self, end: char) -> Result<(), Fault> {
        let closed = |rest: &str| rest.starts_with(end);
        if self.take(',') || closed(self.rest) {
            return Ok(());
        }
        Err(if self.rest.is_empty() { Fault::Open } else { Fault::Trailing })
    }

    fn scalar(&mut self) -> Result<Yaml, Fault> {
        self.skip();
        if self.rest.starts_with(['"', '\'']) {
            let (text, rest) = quoted(self.rest)?;
            self.rest = rest;
            return Ok(Yaml::Text { text, plain: false });
        }
        let mut end = self.rest.len();
        for (at, c) in self.rest.char_indices() {
            let after = self.rest.get(at + c.len_utf8()..).unwrap_or_default();
            let colon = c == ':' && (after.is_empty() || after.starts_with([' ', '\n', ',', ']', '}']));
            if colon || matches!(c, ',' | '[' | ']' | '{' | '}' | '\n') {
                end = at;
                break;
            }
        }
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        plain(text.split_once(" #").map_or(text, |(text, _)| text).trim())
    }
}
