//! The configuration inside the core image.
//!
//! It is run by GRUB's rescue parser (`grub-core/kern/parser.c`), which knows lines, words, quotes, backslashes and
//! `$variables`, but no script syntax. Everything is quoted so that none of this can happen to a command line.

use std::fmt::Write as _;

use thiserror::Error;

/// What GRUB puts in front of the command line, before the kernel's path.
const BOOT_IMAGE: &str = "BOOT_IMAGE=";

/// One Linux system: what GRUB loads, and what it tells the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinuxEntry<'a> {
    /// The kernel: an absolute path on the boot partition, or a list of its sectors (`FIRST+COUNT`).
    pub kernel: &'a str,
    /// The initrd, likewise.
    pub initrd: &'a str,
    /// The command line. The kernel sees it behind `BOOT_IMAGE=<kernel>`, as with every boot loader.
    pub cmdline: &'a str,
    /// The longest command line that the kernel takes, in bytes, with `BOOT_IMAGE=` counted.
    pub cmdline_limit: usize,
}

/// Why a command line can be told to no kernel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandLineError {
    /// A NUL, a line break or another control character.
    #[error(
        "the kernel command line has the control character {character:?} at byte {at}: write it on one line"
    )]
    Control {
        /// The character.
        character: char,
        /// Its place, in bytes from the start.
        at: usize,
    },
    /// Too long for this kernel.
    #[error(
        "the kernel command line has {len} bytes, and this kernel takes {limit}: shorten `kernel.cmdline`"
    )]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// What is left for it in bytes.
        limit: usize,
    },
}

impl LinuxEntry<'_> {
    /// Whether GRUB's own way of joining words would change the command line: it sets a backslash before each quote
    /// and backslash, and drops blanks that follow blanks.
    pub fn needs_verbatim(&self) -> bool {
        self.cmdline.contains(['"', '\'', '\\']) || words(self.cmdline).iter().any(|word| word.contains(' '))
    }

    /// The configuration's text: load the kernel and the initrd, and go.
    ///
    /// `linux16` enters the kernel through its 16-bit code, which is 1.3 s faster than `linux` under emulation.
    ///
    /// # Errors
    /// When the command line is too long or has a control character other than a tab.
    pub fn config(&self) -> Result<String, CommandLineError> {
        let control = |c: &(usize, char)| c.1.is_control() && c.1 != '\t';
        if let Some((at, character)) = self.cmdline.char_indices().find(control) {
            return Err(CommandLineError::Control { character, at });
        }
        let prefix = BOOT_IMAGE.len() + self.kernel.len() + 1;
        let limit = self.cmdline_limit.saturating_sub(prefix);
        if self.cmdline.len() > limit {
            return Err(CommandLineError::TooLong { len: self.cmdline.len(), limit });
        }

        let mut text = format!("linux16 {}", quote(self.kernel));
        for word in words(self.cmdline) {
            // A String takes every write.
            let _infallible = write!(text, " {}", quote(&word));
        }
        let _infallible = write!(text, "\ninitrd16 {}\nboot\n", quote(self.initrd));
        Ok(text)
    }
}

/// The words that, joined with one blank, are the command line again: further blanks stay with the word they precede.
fn words(cmdline: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut blanks = String::new();
    for piece in cmdline.split(' ') {
        if piece.is_empty() {
            blanks.push(' ');
        } else {
            words.push(std::mem::take(&mut blanks) + piece);
        }
    }
    if let Some(last) = words.last_mut() {
        last.push_str(&blanks);
    }
    words
}

/// A word as the rescue parser reads it back: in single quotes, inside which nothing but a single quote is special.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(cmdline: &str) -> LinuxEntry<'_> {
        LinuxEntry { kernel: "/kernel", initrd: "/initrd.img", cmdline, cmdline_limit: 2047 }
    }

    /// What GRUB's `grub_parser_split_cmdline` makes of a line.
    fn rescue_parser(line: &str) -> Vec<String> {
        #[derive(PartialEq)]
        enum State {
            Text,
            Escaped,
            Quoted,
            DoubleQuoted,
        }
        let (mut state, mut args, mut word) = (State::Text, Vec::new(), String::new());
        for c in line.chars().chain([' ']) {
            match (&state, c) {
                (State::Text, '\\') => state = State::Escaped,
                (State::Text, '\'') => state = State::Quoted,
                (State::Text, '"') => state = State::DoubleQuoted,
                (State::Text, '$') | (State::DoubleQuoted, '$') => panic!("a variable in {line}"),
                (State::Text, ' ' | '\t') if word.is_empty() => {}
                (State::Text, ' ' | '\t') => args.push(std::mem::take(&mut word)),
                (State::Quoted, '\'') | (State::DoubleQuoted, '"') => state = State::Text,
                (State::Escaped, _) => {
                    word.push(c);
                    state = State::Text;
                }
                _ => word.push(c),
            }
        }
        args
    }

    #[test]
    fn the_configuration_loads_and_boots_without_a_menu() {
        let config = entry("console=ttyS0 ro").config().unwrap();
        assert_eq!(config, "linux16 '/kernel' 'console=ttyS0' 'ro'\ninitrd16 '/initrd.img'\nboot\n");
    }

    #[test]
    fn what_is_special_to_grub_reaches_the_kernel() {
        for cmdline in [
            "",
            "console=ttyS0",
            "a=$b ${c} d;e #f {g} |h &i <j >k",
            r#"dm-mod.create="root,,,ro,0 1 verity 1" quiet"#,
            r#"back\slash 'single' it's \"escaped\" ends\"#,
            " leading and  double and trailing ",
            "tab\tinside ünicode=日本",
        ] {
            let config = entry(cmdline).config().unwrap();
            let line = config.lines().next().unwrap();
            assert_eq!(rescue_parser(line)[2..].join(" "), cmdline, "{line}");
        }
    }

    #[test]
    fn only_quotes_backslashes_and_extra_blanks_need_the_verbatim_code() {
        for plain in ["", " ", "console=ttyS0 page_poison=1 root=/dev/vda1", "a=$b;c#d{e}", "a,b=[c]*?"] {
            assert!(!entry(plain).needs_verbatim(), "{plain:?}");
        }
        for verbatim in [r#"a="b c""#, "it's", r"a\b", "a  b", " a", "a "] {
            assert!(entry(verbatim).needs_verbatim(), "{verbatim:?}");
        }
    }

    #[test]
    fn what_no_kernel_can_be_told_is_refused() {
        assert_eq!(entry("a\nboot").config(), Err(CommandLineError::Control { character: '\n', at: 1 }));
        assert_eq!(entry("a\0b").config(), Err(CommandLineError::Control { character: '\0', at: 1 }));
        let longest = "x".repeat(2047 - "BOOT_IMAGE=/kernel ".len());
        assert!(entry(&longest).config().is_ok());
        let limit = longest.len();
        assert_eq!(
            entry(&(longest + "x")).config(),
            Err(CommandLineError::TooLong { len: limit + 1, limit })
        );
    }

    proptest! {
        #[test]
        fn every_command_line_survives_the_rescue_parser(cmdline in r#"[ -~\t]{0,80}"#) {
            prop_assume!(!cmdline.trim_matches(' ').is_empty());
            let config = entry(&cmdline).config().unwrap();
            let line = config.lines().next().unwrap();
            prop_assert_eq!(rescue_parser(line)[2..].join(" "), cmdline);
        }
    }
}
