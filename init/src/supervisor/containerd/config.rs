//! `/etc/containerd/runtime-config.toml`, LinuxKit's file for how containerd is started.

use std::path::PathBuf;

/// Where containerd's own output goes, when nothing else is asked for.
pub const LOG: &str = "/var/log/containerd.log";
/// Where containerd keeps what must outlive it, when its configuration says nothing else.
const ROOT: &str = "/var/lib/containerd";

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The supervisor's standard output.
    Stdout,
    /// The supervisor's standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

/// How containerd is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `cliopts`, split at blanks.
    pub args: Vec<String>,
    /// `stdout`
    pub stdout: Output,
    /// `stderr`
    pub stderr: Output,
}

impl Config {
    /// Reads the file's text; keys that we do not know mean nothing to LinuxKit either.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let output = |key: &str| match string(text, key).as_deref() {
            Some("stdout") => Output::Stdout,
            Some("stderr") => Output::Stderr,
            None | Some("") => Output::File(PathBuf::from(LOG)),
            Some(path) => Output::File(PathBuf::from(path)),
        };
        let args = string(text, "cliopts").unwrap_or_default();
        Self {
            args: args.split_whitespace().map(str::to_owned).collect(),
            stdout: output("stdout"),
            stderr: output("stderr"),
        }
    }
}

/// containerd's `root` from the text of its own `config.toml`.
#[must_use]
pub fn root(text: &str) -> PathBuf {
    PathBuf::from(string(text, "root").unwrap_or_else(|| ROOT.to_owned()))
}

/// The string that a top-level key has in a TOML document (toml.io, v1.0.0): basic or literal, on one line.
fn string(text: &str, key: &str) -> Option<String> {
    text.lines()
        .map(str::trim_start)
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| value(line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim_start()))
}

fn value(text: &str) -> Option<String> {
    if let Some(literal) = text.strip_prefix('\'') {
        return literal.split_once('\'').map(|(value, _)| value.to_owned());
    }
    let mut chars = text.strip_prefix('"')?.chars();
    let mut value = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(value),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                't' => '\t',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn linuxkits_file_is_understood() {
        let text = "# how\ncliopts = \"--log-level debug  --config /x\" # here\nstderr=\"stderr\"\n stdout = '/var/log/c.out'\n";
        let config = Config::parse(text);
        assert_eq!(config.args, ["--log-level", "debug", "--config", "/x"]);
        assert_eq!(config.stderr, Output::Stderr);
        assert_eq!(config.stdout, Output::File("/var/log/c.out".into()));
    }

    #[test]
    fn without_a_file_all_goes_to_the_log() {
        let config = Config::parse("");
        assert!(config.args.is_empty());
        assert_eq!(config.stdout, Output::File(LOG.into()));
        assert_eq!(config.stderr, Output::File(LOG.into()));
    }

    #[test]
    fn only_top_level_keys_count() {
        assert_eq!(root("version = 3\nroot = \"/data\"\n[x]\nroot = \"/y\"\n"), PathBuf::from("/data"));
        assert_eq!(root("rootless = \"/a\"\n[x]\nroot = \"/y\"\n"), PathBuf::from(ROOT));
        assert_eq!(value(r#""a\"b" # c"#).as_deref(), Some("a\"b"));
        assert_eq!(value("\"no end"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_configuration(text in "\\PC{0,200}") {
            prop_assert!(Config::parse(&text).args.iter().all(|arg| !arg.contains(' ')));
        }

        #[test]
        fn plain_strings_are_read_back(plain in "[a-zA-Z0-9/ ._-]{0,40}") {
            prop_assert_eq!(string(&format!("a = 1\nkey = \"{plain}\"\n"), "key"), Some(plain));
        }
    }
}
