//! What is written to a terminal: text that cannot command it, in lines that fit.

use std::os::fd::AsFd;

/// A terminal that does not say how wide it is, like a serial line.
const USUAL_WIDTH: usize = 80;

/// The columns of the terminal behind `fd`; `None` when it is no terminal.
pub fn width(fd: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(fd).ok()?;
    Some(if size.ws_col == 0 { USUAL_WIDTH } else { usize::from(size.ws_col) })
}

/// The text without what could move the cursor, rename the window or hide other text.
///
/// Colours (`ESC [ … m`, ECMA-48 SGR) are left out; every other control character, and those that turn the direction of
/// writing, are shown as escapes like `\x1b`. Tabs stay.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = after_colour(rest) {
            rest = after;
            continue;
        }
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        match character {
            '\t' => shown.push('\t'),
            c if c.is_control() => shown.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if turns_direction(c) => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

/// What follows a colour sequence with which `text` begins.
fn after_colour(text: &str) -> Option<&str> {
    text.strip_prefix("\x1b[")?
        .trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ';' | ':'))
        .strip_prefix('m')
}

/// Unicode's explicit directional formatting characters (UAX #9).
fn turns_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text in at most `width` columns, its end replaced by `…` when it is longer. A character counts as one column.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_go_and_commands_are_shown() {
        let cases = [
            ("plain\tü€", "plain\tü€"),
            ("\x1b[1;31mred\x1b[0m", "red"),
            ("\x1b[2Jgone", "\\x1b[2Jgone"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("a\rb\0", "a\\x0db\\x00"),
            ("\u{9b}31m", "\\x9b31m"),
            ("\u{202e}txt", "\\u{202e}txt"),
            ("\x1b[", "\\x1b["),
        ];
        for (text, shown) in cases {
            assert_eq!(harmless(text), shown, "{text:?}");
        }
    }

    #[test]
    fn long_text_is_cut_where_it_can_be_seen() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("äöüß", 2), "ä…");
        assert_eq!(cut("ab", 0), "");
    }

    proptest! {
        #[test]
        fn nothing_that_is_shown_can_command_a_terminal(text in any::<String>()) {
            prop_assert!(harmless(&text).chars().all(|c| c == '\t' || !c.is_control() && !turns_direction(c)));
        }

        #[test]
        fn a_cut_text_fits(text in any::<String>(), width in 0_usize..20) {
            prop_assert!(cut(&text, width).chars().count() <= width);
        }
    }
}
