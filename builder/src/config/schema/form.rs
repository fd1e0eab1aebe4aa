//! What the strings of the YAML must look like: the functions that judge, and patterns for editors.

use super::super::syntax;
use super::Kind;

/// What a string must look like.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) enum Form {
    /// Anything.
    Any,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// What a function accepts.
    Checked(&'static Language),
}

/// A small language.
#[derive(Debug)]
pub(in crate::config) struct Language {
    /// Says what is wrong with a text.
    pub check: fn(&str) -> Result<(), String>,
    /// A regular expression (both of ECMA 262 and of Rust) that matches whatever `check` accepts, and perhaps
    /// more; empty where there is none.
    pub pattern: &'static str,
    /// The words that a text most likely is, for editors to offer.
    pub words: &'static [&'static str],
}

impl Form {
    /// Checks `text`.
    pub fn check(self, text: &str) -> Result<(), String> {
        match self {
            Form::Any => Ok(()),
            Form::Checked(language) => (language.check)(text),
            Form::OneOf(words) if words.contains(&text) => Ok(()),
            Form::OneOf(words) => {
                let list: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                Err(format!("`{text}` must be one of the following: {}", list.join(", ")))
            }
        }
    }
}

macro_rules! languages {
    ($($(#[doc = $doc:literal])+ $name:ident = $check:expr, $pattern:literal, $words:expr;)+) => {
        $(
            $(#[doc = $doc])+
            pub(super) const $name: Kind =
                Kind::Text(Form::Checked(&Language { check: $check, pattern: $pattern, words: $words }));
        )+

        /// All languages and their names.
        #[cfg(test)]
        const LANGUAGES: &[(&str, Kind)] = &[$((stringify!($name), $name),)+];
    };
}

languages! {
    /// A reference, or the directory of a package.
    IMAGE = syntax::image, r"^(@(lkt:)?pkg:\S+|[^@\s]\S*)$", &[];
    /// A directory's and a container's name.
    CONTAINER_NAME = syntax::container_name, r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,75}$", &[];
    /// A directory's name.
    VOLUME_NAME = syntax::volume_name, r"^[a-z0-9_-]{1,76}$", &[];
    /// A path below the root, with or without a leading slash.
    FILE_PATH = syntax::file_path, r"[^/]", &[];
    /// A path from the root.
    ABSOLUTE = syntax::absolute, r"^/", &[];
    /// Permission bits.
    MODE = |text| syntax::octal_mode(text).map(drop), r"^0*[0-7]{1,4}$", &[];
    /// A capability, or all, or none.
    CAPABILITY = syntax::capability, r"^([Aa][Ll][Ll]|[Nn][Oo][Nn][Ee])$", &syntax::CAPABILITIES;
    /// A bind mount.
    BIND = |text| syntax::bind(text).map(drop), r"^[^:]+:/[^:]*(:[^:]*)?$", &[];
    /// A file system in memory.
    TMPFS = |text| syntax::tmpfs(text).map(drop), r"^/[^:]*(:[^:]*)?$", &[];
    /// A limit of setrlimit(2).
    RLIMIT = |text| syntax::rlimit(text).map(drop), r"^[^,]+,[^,]+,[^,]+$", &[];
    /// How a namespace is chosen.
    NAMESPACE = syntax::namespace, r"^/", &["host", "root", "new", ""];
    /// How a network namespace is chosen.
    NETWORK = |text| if text == "none" { Ok(()) } else { syntax::namespace(text) }, r"^/",
        &["host", "root", "new", "none", ""];
    /// A signal's name or number.
    SIGNAL = syntax::signal, r"^\s*\+?[A-Za-z0-9]+([+-]\+?[0-9]+)?\s*$", &[];
    /// Some of `rwm`.
    DEVICE_ACCESS = syntax::device_access, r"^[rwm]+$", &[];
    /// The size of a huge page.
    PAGE_SIZE = syntax::page_size, r"^[0-9]+(KB|MB|GB)$", &[];
    /// What a service's log is searched for.
    REGEX = is_regex, "", &[];
}

fn is_regex(text: &str) -> Result<(), String> {
    // The library that init searches with, so that nothing is built that does not run.
    match regex_lite::Regex::new(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("`{text}` is not a regular expression: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    struct Known {
        name: &'static str,
        language: &'static Language,
        pattern: regex::Regex,
    }

    impl Known {
        /// Whether an editor takes it.
        fn matches(&self, text: &str) -> bool {
            self.language.words.contains(&text) || self.pattern.is_match(text)
        }
    }

    static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
        let known = LANGUAGES.iter().map(|(name, kind)| match kind {
            Kind::Text(Form::Checked(language)) => {
                Known { name, language, pattern: regex::Regex::new(language.pattern).unwrap() }
            }
            other => panic!("{other:?}"),
        });
        known.collect()
    });

    #[test]
    fn a_pattern_refuses_what_the_check_refuses_in_the_usual_mistakes() {
        for (name, texts) in [
            ("IMAGE", &["", "a b", "@pkg:", "@foo"][..]),
            ("CONTAINER_NAME", &["", "a/b", ".a", "-a", "a b"]),
            ("VOLUME_NAME", &["", "A", "a.b"]),
            ("FILE_PATH", &["", "/"]),
            ("ABSOLUTE", &["", "tmp"]),
            ("MODE", &["", "rw", "888", "17777", "-644"]),
            ("CAPABILITY", &["", "CAP_FLY", "net_admin"]),
            ("BIND", &["/a", ":/b", "/a:b", "/a:/b:c:d"]),
            ("TMPFS", &["run", "/a:b:c"]),
            ("RLIMIT", &["nofile", "nofile,1", "nofile,1,2,3"]),
            ("NAMESPACE", &["hots", "none"]),
            ("NETWORK", &["hots"]),
            ("SIGNAL", &["", "SIG TERM"]),
            ("DEVICE_ACCESS", &["", "rx"]),
            ("PAGE_SIZE", &["2", "MB", "2mb"]),
        ] {
            let known = KNOWN.iter().find(|known| known.name == name).unwrap();
            for text in texts {
                // Which directives there are is known where they are resolved.
                assert!((known.language.check)(text).is_err() || text.starts_with('@'), "{name}: {text}");
                assert!(!known.matches(text), "{name}: {text}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_pattern_takes_all_that_the_check_takes(
            text in prop_oneof![
                ".{0,12}",
                "[a-zA-Z0-9_.+-]{1,80}",
                "(a|/a|/):?(/b)?:?(ro,x)?",
                "0{0,4}[0-7]{1,5}",
                "(SIG|sig)?(TERM|term|RTMIN|RTMAX|Int|[0-9]{1,2})[+-]?[0-9]{0,2}",
                "(CAP_KILL|CAP_NET_ADMIN|All|none|NONE)",
                "(nofile|RLIMIT_NOFILE| core ),( ?[0-9]{1,4}|unlimited),(unlimited|99999)",
                "(host|root|new|none|/run/x)?",
                "[rwm]{0,3}",
                "[0-9]{0,3}(KB|MB|GB)?",
                "/?(a|\\.|\\.\\.)/?(b)?",
            ]
        ) {
            for known in KNOWN.iter() {
                if (known.language.check)(&text).is_ok() {
                    // `@` alone is left to what resolves packages.
                    prop_assert!(known.matches(&text) || text.starts_with('@'), "{}: {:?}", known.name, text);
                }
            }
        }
    }
}
