//! The words behind `modprobe` and `hwclock`: options by letter, several behind one dash or each by itself, or by name.

use std::ffi::OsString;
use std::fmt;

/// What a word, or a letter in it, is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// `-x`, by itself or among others.
    Letter(char),
    /// `--name` or `--name=value`.
    Name(String, Option<String>),
    /// No option.
    Argument(String),
}

impl Word {
    /// What to say when nobody knows it.
    #[must_use]
    pub fn unknown(&self) -> String {
        format!("unknown option {self}")
    }
}

/// The option as it would be written by itself, without its value; an argument as it is.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Letter(letter) => write!(f, "-{letter}"),
            Self::Name(name, _) => write!(f, "--{name}"),
            Self::Argument(word) => f.write_str(word),
        }
    }
}

/// The words of a command line, one after another.
#[derive(Debug, Clone)]
pub struct Words {
    words: std::vec::IntoIter<String>,
    /// What is left of a word of letters.
    letters: std::vec::IntoIter<char>,
    options: bool,
}

impl Words {
    /// The words after a command's name; what is not UTF-8 in them is no option of anyone's.
    #[must_use]
    pub fn new(args: &[OsString]) -> Self {
        let words: Vec<String> = args.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Self { words: words.into_iter(), letters: Vec::new().into_iter(), options: true }
    }

    /// The next word as it is: an option's value.
    pub fn value(&mut self) -> Option<String> {
        self.words.next()
    }
}

impl Iterator for Words {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        if let Some(letter) = self.letters.next() {
            return Some(Word::Letter(letter));
        }
        let word = self.words.next()?;
        if !self.options {
            return Some(Word::Argument(word));
        }
        if word == "--" {
            self.options = false;
            return self.next();
        }
        if let Some(name) = word.strip_prefix("--") {
            return Some(match name.split_once('=') {
                Some((name, value)) => Word::Name(name.to_owned(), Some(value.to_owned())),
                None => Word::Name(name.to_owned(), None),
            });
        }
        match word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            Some(letters) => {
                self.letters = letters.chars().collect::<Vec<char>>().into_iter();
                self.letters.next().map(Word::Letter)
            }
            None => Some(Word::Argument(word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Words {
        Words::new(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn letters_names_and_arguments_are_told_apart() {
        let name = |name: &str, value: Option<&str>| Word::Name(name.into(), value.map(str::to_owned));
        let argument = |word: &str| Word::Argument(word.into());
        assert_eq!(
            words("-ab x --all --rtc=/dev/r - -- -c --").collect::<Vec<_>>(),
            [
                Word::Letter('a'),
                Word::Letter('b'),
                argument("x"),
                name("all", None),
                name("rtc", Some("/dev/r")),
                argument("-"),
                argument("-c"),
                argument("--"),
            ]
        );
        assert_eq!(words("").next(), None);
    }

    #[test]
    fn a_value_is_the_next_word_whatever_it_looks_like() {
        let mut words = words("-f -x y");
        assert_eq!(words.next(), Some(Word::Letter('f')));
        assert_eq!(words.value().as_deref(), Some("-x"));
        assert_eq!(words.next(), Some(Word::Argument("y".into())));
        assert_eq!(words.value(), None);
    }
}
