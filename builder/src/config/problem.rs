//! What is wrong with a configuration, and where.

use std::fmt;
use std::sync::Arc;

/// How many problems are shown in full.
const SHOWN: usize = 50;
/// How much of a source line is shown, in characters.
const LINE_WIDTH: usize = 160;

/// A line and a column, both counted from 1, of a file that the context knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// Where something stands: `FILE:LINE:COLUMN`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The name of the source.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong, or that the user should know. Displays as one line: `FILE:LINE:COLUMN: MESSAGE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub spot: Spot,
    /// What, and what to do about it.
    pub message: String,
    /// The source's line at that spot; empty if there is none.
    pub text: String,
}

impl Problem {
    /// What is wrong, and what to do about it, when the message says so: what follows its last `; `. Both together
    /// are the message.
    #[must_use]
    pub fn message_and_help(&self) -> (&str, Option<&str>) {
        // What the source says stands in back quotes, and may have anything in it.
        let outside = |at: &usize| self.message[..*at].matches('`').count().is_multiple_of(2);
        let found = self.message.rmatch_indices("; ").map(|(at, _)| at).find(outside);
        match found {
            Some(at) => (&self.message[..at], Some(&self.message[at + 2..])),
            None => (&self.message, None),
        }
    }

    /// The source line with a caret below the column, each line ending in a newline; empty if there is none.
    #[must_use]
    pub fn snippet(&self) -> String {
        let Some(column) = usize::try_from(self.spot.column).ok().and_then(|n| n.checked_sub(1)) else {
            return String::new();
        };
        if self.text.trim().is_empty() {
            return String::new();
        }
        let first = column.saturating_sub(LINE_WIDTH / 2);
        let visible = |c: char| if c == '\t' || !c.is_control() { c } else { '\u{fffd}' };
        let line: String = self.text.chars().skip(first).take(LINE_WIDTH).map(visible).collect();
        // Tabs stay tabs, so that the caret lands below the right character.
        let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
        let pad: String =
            line.chars().chain(std::iter::repeat(' ')).take(column - first).map(blank).collect();
        let number = self.spot.line.to_string();
        let gutter = " ".repeat(number.len());
        format!("  {number} | {line}\n  {gutter} | {pad}^\n")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.spot, self.message)
    }
}

/// Everything that was found wrong, in the order of the sources and of their lines.
///
/// Displays as one line a problem, each followed by its source line and a caret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", report(.problems))]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
    /// What the user should know besides.
    pub warnings: Vec<Problem>,
}

fn report(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(SHOWN) {
        text.push_str(&format!("{problem}\n{}", problem.snippet()));
    }
    match problems.len().checked_sub(SHOWN) {
        Some(more @ 1..) => text.push_str(&format!("… and {more} more")),
        _ => text.truncate(text.trim_end().len()),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: u32, column: u32, text: &str) -> Problem {
        let spot = Spot { file: "a.yml".into(), line, column };
        Problem { spot, message: "wrong".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_problem_is_one_line_and_its_snippet_points_at_the_column() {
        let problem = problem(12, 3, "a: b");
        assert_eq!(problem.to_string(), "a.yml:12:3: wrong");
        assert_eq!(problem.snippet(), "  12 | a: b\n     |   ^\n");
    }

    #[test]
    fn help_is_what_follows_the_last_semicolon_that_is_not_quoted() {
        for (message, what, help) in [
            ("unknown key `a`; did you mean `b`?", "unknown key `a`", Some("did you mean `b`?")),
            ("unknown key `a; b`", "unknown key `a; b`", None),
            ("`a; b` is wrong; write `c`", "`a; b` is wrong", Some("write `c`")),
            ("one; two; three", "one; two", Some("three")),
            ("wrong", "wrong", None),
        ] {
            let problem = Problem { message: message.to_owned(), ..problem(1, 1, "") };
            assert_eq!(problem.message_and_help(), (what, help));
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_column() {
        let text = format!("{}X{}", "a".repeat(300), "b".repeat(300));
        let snippet = problem(1, 301, &text).snippet();
        let lines: Vec<&str> = snippet.lines().collect();
        let caret = lines[1].find('^').unwrap();
        assert_eq!(lines[0].as_bytes()[caret], b'X');
        assert!(lines[0].len() < 200);
    }

    #[test]
    fn control_characters_of_the_source_do_not_reach_the_terminal() {
        assert!(!problem(1, 1, "a\u{1b}[31m").snippet().contains('\u{1b}'));
    }

    #[test]
    fn many_problems_are_counted_instead_of_shown() {
        let problems = vec![problem(1, 1, ""); 60];
        let shown = ConfigError { problems, warnings: Vec::new() }.to_string();
        assert_eq!(shown.lines().count(), 51);
        assert!(shown.ends_with("… and 10 more"));
    }
}
