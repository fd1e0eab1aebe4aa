//! The kernel's command line (`/proc/cmdline`).
//!
//! Syntax: kernel Documentation/admin-guide/kernel-parameters.rst. Words are separated by spaces; a value may be
//! quoted to hold some; `-` and `_` in names are the same.

/// The words of a kernel command line, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cmdline {
    words: Vec<Word>,
}

/// One word: `name` or `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Left of the first `=`, as written.
    pub name: String,
    /// Right of the first `=`, without the quotes around it.
    pub value: Option<String>,
}

impl Cmdline {
    /// Splits a command line into words; never fails, as the kernel's own parser does not.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut words = Vec::new();
        let mut word = String::new();
        let mut quoted = false;
        for character in text.trim().chars().chain([' ']) {
            match character {
                '"' => quoted = !quoted,
                c if c.is_whitespace() && !quoted => {
                    if word == "--" {
                        // What follows is for init's own command line, not for the kernel.
                        return Self { words };
                    }
                    if !word.is_empty() {
                        words.push(Word::parse(&word));
                        word.clear();
                    }
                }
                c => word.push(c),
            }
        }
        if !word.is_empty() {
            words.push(Word::parse(word.trim_end()));
        }
        Self { words }
    }

    /// All words, in order.
    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.words.iter()
    }

    /// Whether `name` is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.words.iter().any(|word| same_name(&word.name, name))
    }

    /// Every value given to `name`, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.words
            .iter()
            .filter(move |word| same_name(&word.name, name))
            .filter_map(|word| word.value.as_deref())
    }

    /// The value that counts for `name`: the last.
    #[must_use]
    pub fn last<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).last()
    }

    /// The terminals named by `console=`, without their options and without repetition: `ttyS0`, `tty0`, …
    #[must_use]
    pub fn consoles(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for value in self.values("console") {
            let name = value.split(',').next().unwrap_or_default();
            let is_file_name = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
            if is_file_name && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

impl Word {
    fn parse(word: &str) -> Self {
        match word.split_once('=') {
            Some((name, value)) => Self { name: name.to_owned(), value: Some(value.to_owned()) },
            None => Self { name: word.to_owned(), value: None },
        }
    }
}

/// Whether two names are equal with `-` and `_` taken for the same.
#[must_use]
pub fn same_name(a: &str, b: &str) -> bool {
    let fold = |byte: u8| if byte == b'-' { b'_' } else { byte };
    a.len() == b.len() && a.bytes().map(fold).eq(b.bytes().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_split_at_spaces_outside_of_quotes() {
        let line = Cmdline::parse("quiet a=1  b=\"x y\" \"c=p q\"\n");
        let words: Vec<_> = line.words().map(|w| (w.name.as_str(), w.value.as_deref())).collect();
        assert_eq!(words, [("quiet", None), ("a", Some("1")), ("b", Some("x y")), ("c", Some("p q"))]);
    }

    #[test]
    fn the_last_value_counts_and_dashes_equal_underscores() {
        let line = Cmdline::parse("module-blacklist=a module_blacklist=b");
        assert_eq!(line.last("module_blacklist"), Some("b"));
        assert!(line.has("module-blacklist"));
    }

    #[test]
    fn consoles_lose_their_options_and_repetitions() {
        let line = Cmdline::parse("console=tty0 console=ttyS0,115200n8 console=ttyS0 console=../x console=");
        assert_eq!(line.consoles(), ["tty0", "ttyS0"]);
    }

    #[test]
    fn words_after_two_dashes_are_not_the_kernels() {
        assert!(!Cmdline::parse("a -- quiet").has("quiet"));
    }

    proptest! {
        #[test]
        fn any_text_parses(text in ".*") {
            let line = Cmdline::parse(&text);
            prop_assert!(line.words().count() <= text.len());
        }
    }
}
