//! What the operator asked for: three settings, each from a file, a variable, or a default, in this order.
//!
//! | setting | file named by | variable | default |
//! | --- | --- | --- | --- |
//! | suffix | `SUFFIX_FILE` | `SUFFIX` | `dc=example,dc=org` |
//! | organisation's name | `ORGANISATION_NAME_FILE` | `ORGANISATION_NAME` | `Example` |
//! | root password | `ROOT_PW_FILE` | `ROOT_PW` | `password` |
//!
//! A file that is not there or empty is passed over, since user-data need not have it. One that cannot be
//! read is an error.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::dn::{Dn, DnError};

/// The longest value that is taken, in bytes.
const LONGEST: u64 = 4096;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name of the base entry.
    pub suffix: Setting<Dn>,
    /// The organisation's name.
    pub organisation: Setting<String>,
    /// The password of `cn=admin` beneath the suffix.
    pub root_password: Setting<Secret>,
}

/// A value and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it is from.
    pub source: Source,
}

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable(&'static str),
    /// Nobody said.
    Default,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value's bytes, to be hashed.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file is there but cannot be read.
    #[error("{path}: cannot be read: {source} ({setting} names it)")]
    Read {
        /// The file.
        path: PathBuf,
        /// The variable that names it.
        setting: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A value that is unreasonably long.
    #[error("{setting} (from {from}): is longer than {LONGEST} bytes")]
    TooLong {
        /// The setting.
        setting: &'static str,
        /// Where it is from.
        from: String,
    },
    /// A value with bytes or characters that cannot be used.
    #[error("{setting} (from {from}): {why}")]
    Unusable {
        /// The setting.
        setting: &'static str,
        /// Where it is from.
        from: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The suffix is no distinguished name.
    #[error("SUFFIX (from {from}): {source}; it is a name such as dc=example,dc=org")]
    Suffix {
        /// Where it is from.
        from: String,
        /// What is wrong.
        source: DnError,
    },
    /// No base entry can be made for the suffix.
    #[error("SUFFIX (from {from}): begins with {kind}=; a base entry is made for dc=, o= and ou= only")]
    SuffixType {
        /// Where it is from.
        from: String,
        /// What it begins with.
        kind: String,
    },
}

/// Reads the settings from the environment, which `variable` looks into, and from the files named there.
pub fn read(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Settings, SettingsError> {
    let suffix = read_one(variable, "SUFFIX", "dc=example,dc=org")?;
    let organisation = read_one(variable, "ORGANISATION_NAME", "Example")?;
    let password = read_one(variable, "ROOT_PW", "password")?;
    Ok(Settings {
        suffix: Setting { value: suffix_of(&suffix)?, source: suffix.source },
        organisation,
        root_password: Setting { value: Secret(password.value), source: password.source },
    })
}

impl Settings {
    /// Lines that say where each setting is from.
    pub fn sources(&self) -> Vec<String> {
        let mut lines = vec![
            format!("suffix {} from {}", self.suffix.value, self.suffix.source),
            format!("organisation name {:?} from {}", self.organisation.value, self.organisation.source),
            format!("root password from {}", self.root_password.source),
        ];
        if self.root_password.source == Source::Default {
            lines.push(
                "the root password is one that everybody knows: set ROOT_PW_FILE or ROOT_PW".to_owned(),
            );
        }
        lines
    }
}

fn suffix_of(setting: &Setting<String>) -> Result<Dn, SettingsError> {
    let from = || setting.source.to_string();
    let dn = Dn::parse(&setting.value).map_err(|source| SettingsError::Suffix { from: from(), source })?;
    let unusable = |why| Err(SettingsError::Unusable { setting: "SUFFIX", from: from(), why });
    match dn.first() {
        [only] => match only.short_type().as_str() {
            // RFC 4519, 2.4: the syntax of dc is IA5 String.
            "dc" if !only.value.is_ascii() => unusable("a dc= is ASCII; write an international name as xn--"),
            "dc" | "o" | "ou" => Ok(dn),
            kind => Err(SettingsError::SuffixType { from: from(), kind: kind.to_owned() }),
        },
        _ => unusable("its first part has several values; a base entry is made for one"),
    }
}

fn read_one(
    variable: &dyn Fn(&str) -> Option<OsString>,
    name: &'static str,
    default: &str,
) -> Result<Setting<String>, SettingsError> {
    let file_variable = format!("{name}_FILE");
    let mut candidates = Vec::new();
    if let Some(path) = variable(&file_variable).filter(|p| !p.is_empty()).map(PathBuf::from) {
        let bytes = read_file(&path).map_err(|source| SettingsError::Read {
            path: path.clone(),
            setting: file_variable,
            source,
        })?;
        candidates.push((bytes, Source::File(path)));
    }
    let bytes = variable(name).map(|value| value.into_encoded_bytes()).unwrap_or_default();
    candidates.push((bytes, Source::Variable(name)));
    for (bytes, source) in candidates {
        let value = check(name, bytes, &source)?;
        if !value.is_empty() {
            return Ok(Setting { value, source });
        }
    }
    Ok(Setting { value: default.to_owned(), source: Source::Default })
}

/// The file's bytes, one more than are allowed at most; none when it is not there.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(LONGEST + 1).read_to_end(&mut bytes)?,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => 0,
        Err(e) => return Err(e),
    };
    Ok(bytes)
}

fn check(setting: &'static str, bytes: Vec<u8>, source: &Source) -> Result<String, SettingsError> {
    let from = || source.to_string();
    if bytes.len() as u64 > LONGEST {
        return Err(SettingsError::TooLong { setting, from: from() });
    }
    let unusable = |why| SettingsError::Unusable { setting, from: from(), why };
    let value = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8"))?;
    // What an editor or `echo` puts at the end.
    let value = value.strip_suffix('\n').unwrap_or(&value);
    let value = value.strip_suffix('\r').unwrap_or(value);
    match value.chars().any(char::is_control) {
        true => Err(unusable("holds a line break or another control character")),
        false => Ok(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        read(&|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)))
    }

    fn file(directory: &tempfile::TempDir, name: &str, content: &[u8]) -> String {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_file_comes_before_a_variable_and_a_variable_before_the_default() {
        let directory = tempfile::tempdir().unwrap();
        let full = file(&directory, "full", b"dc=file,dc=org\r\n");
        let empty = file(&directory, "empty", b"\n");
        let absent = directory.path().join("absent").to_str().unwrap().to_owned();
        let variable = ("SUFFIX", "dc=variable");
        for (variables, suffix, source) in [
            (vec![("SUFFIX_FILE", full.as_str()), variable], "dc=file,dc=org", Source::File((&full).into())),
            (vec![("SUFFIX_FILE", empty.as_str()), variable], "dc=variable", Source::Variable("SUFFIX")),
            (vec![("SUFFIX_FILE", absent.as_str()), variable], "dc=variable", Source::Variable("SUFFIX")),
            (vec![("SUFFIX_FILE", ""), ("SUFFIX", "")], "dc=example,dc=org", Source::Default),
            (vec![], "dc=example,dc=org", Source::Default),
        ] {
            let settings = with(&variables).unwrap();
            assert_eq!(
                (settings.suffix.value.to_string().as_str(), &settings.suffix.source),
                (suffix, &source)
            );
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let message = with(&[("ROOT_PW_FILE", path), ("ROOT_PW", "x")]).unwrap_err().to_string();
        assert!(message.contains(path) && message.contains("ROOT_PW_FILE"), "{message}");
    }

    #[test]
    fn hostile_values_are_refused_and_never_repeated_when_secret() {
        let directory = tempfile::tempdir().unwrap();
        let long = file(&directory, "long", &vec![b'x'; LONGEST as usize + 1]);
        let binary = file(&directory, "binary", b"\xff\xfe");
        for (variables, part) in [
            (vec![("SUFFIX", "dc=a\nrootpw x")], "line break"),
            (vec![("SUFFIX", "dc=a\\0Ab")], "line break"),
            (vec![("SUFFIX", "example")], "type=value"),
            (vec![("SUFFIX", "cn=admin,dc=org")], "cn="),
            (vec![("SUFFIX", "dc=a+o=b")], "several"),
            (vec![("SUFFIX", "dc=köln")], "ASCII"),
            (vec![("ORGANISATION_NAME", "a\nobjectClass: x")], "line break"),
            (vec![("ROOT_PW", "geheim\nx")], "line break"),
            (vec![("ROOT_PW_FILE", long.as_str())], "4096"),
            (vec![("ROOT_PW_FILE", binary.as_str())], "UTF-8"),
        ] {
            let message = with(&variables).unwrap_err().to_string();
            assert!(message.contains(part) && !message.contains("geheim"), "{message}");
        }
    }

    #[test]
    fn the_password_is_in_no_line_that_is_printed() {
        let settings = with(&[("ROOT_PW", "geheim")]).unwrap();
        let said = format!("{:?} {settings:?}", settings.sources());
        assert!(said.contains("ROOT_PW") && !said.contains("geheim"), "{said}");
        assert!(with(&[]).unwrap().sources().join(" ").contains("everybody knows"));
    }
}
