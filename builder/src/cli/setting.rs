//! Settings that an option has, else a variable, else nobody.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use crate::bounded;

/// Why a setting cannot be used.
#[derive(Debug, Error)]
pub enum SettingError {
    /// A variable's value is not understood.
    #[error("cannot use {variable}={value}: {reason}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// Why not.
        reason: String,
    },
    /// Nobody says.
    #[error("{what} is missing: give {option}, or set {variable}")]
    Missing {
        /// What it is.
        what: &'static str,
        /// The option.
        option: &'static str,
        /// The variable.
        variable: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// More user data than anybody takes there.
    #[error("{} has more than {most} bytes, and {cloud} takes no more user data: let the machine fetch the rest itself", path.display())]
    UserData {
        /// The file.
        path: PathBuf,
        /// Who is to keep it.
        cloud: &'static str,
        /// How many bytes that cloud takes.
        most: usize,
    },
}

/// The option's value, else the variable's. An empty variable is as good as none.
pub fn setting<T>(option: Option<&T>, variable: &'static str) -> Result<Option<T>, SettingError>
where
    T: FromStr<Err: ToString> + Clone,
{
    match (option, self::variable(variable)) {
        (Some(given), _) => Ok(Some(given.clone())),
        (None, None) => Ok(None),
        (None, Some(value)) => match value.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(error) => {
                let error: T::Err = error;
                Err(SettingError::Variable { variable, reason: error.to_string(), value })
            }
        },
    }
}

/// A variable that is set, and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a variable says yes: anything but nothing, `0` and `false`, as LinuxKit reads them.
pub fn says_yes(name: &str) -> bool {
    variable(name).is_some_and(|value| !matches!(value.as_str(), "0" | "false" | "FALSE"))
}

/// Reads an option that LinuxKit takes and that has no business there: a secret, which belongs into a variable.
pub fn not_on_the_command_line(
    variable: &'static str,
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |_| Err(format!("everybody who lists processes sees it; set {variable} instead"))
}

/// User data: a text, or what is in a file, of which no more is read than this cloud takes.
pub fn user_data(
    text: Option<&str>,
    file: Option<&Path>,
    (cloud, most): (&'static str, usize),
) -> Result<Option<Vec<u8>>, SettingError> {
    match (text, file) {
        (Some(text), _) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(path)) => match bounded::read(path, most as u64) {
            Ok(Some(bytes)) => Ok(Some(bytes)),
            Ok(None) => Err(SettingError::UserData { path: path.to_owned(), cloud, most }),
            Err(source) => Err(SettingError::Read { path: path.to_owned(), source }),
        },
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_user_data_is_read_than_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("data");
        std::fs::write(&file, "1234").unwrap();
        let read = |path, most| user_data(None, Some(path), ("A cloud", most));
        assert_eq!(read(&file, 4).unwrap().as_deref(), Some(&b"1234"[..]));
        let error = read(Path::new("/dev/zero"), 3).unwrap_err().to_string();
        let wanted = "/dev/zero has more than 3 bytes, and A cloud takes no more user data: \
                      let the machine fetch the rest itself";
        assert_eq!(error, wanted);
        assert!(matches!(read(&dir.path().join("none"), 4), Err(SettingError::Read { .. })));
        assert_eq!(user_data(None, None, ("A cloud", 3)).unwrap(), None);
    }
}
