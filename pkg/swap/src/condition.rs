//! Whether there is to be swap at all. Pure.

use std::fmt;

use lk_command::size::{Bytes, NotASize};

/// Something that must be so, or else there is no swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What.
    pub what: What,
    /// Whether it is an error if it is not so.
    pub required: bool,
}

/// What must be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Something is mounted exactly there.
    Mounted(String),
    /// The file system that the path is in has at least this size.
    Size(String, Bytes),
}

/// A text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Of no known kind, or with too many or too few parts.
    #[error("--condition {0}: is part:PATH[:true] or partsize:PATH:SIZE[:true]")]
    Unknown(String),
    /// The path is relative.
    #[error("--condition {0}: its path must be an absolute one")]
    Relative(String),
    /// The size is none.
    #[error("--condition {0}: {1}")]
    Size(String, NotASize),
}

impl Condition {
    /// Reads `part:PATH[:REQUIRED]` or `partsize:PATH:SIZE[:REQUIRED]`.
    ///
    /// # Errors
    /// [`ConditionError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        let unknown = || ConditionError::Unknown(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        let (kind, path, size, required) = match parts.as_slice() {
            [kind @ "part", path] => (*kind, *path, "", "false"),
            [kind @ "part", path, required] => (*kind, *path, "", *required),
            [kind @ "partsize", path, size] => (*kind, *path, *size, "false"),
            [kind @ "partsize", path, size, required] => (*kind, *path, *size, *required),
            _ => return Err(unknown()),
        };
        let required = match required {
            "true" => true,
            "false" | "" => false,
            _ => return Err(unknown()),
        };
        if !path.starts_with('/') {
            return Err(ConditionError::Relative(text.to_owned()));
        }
        let what = match kind {
            "part" => What::Mounted(path.to_owned()),
            _ => {
                let size = size.parse().map_err(|e| ConditionError::Size(text.to_owned(), e))?;
                What::Size(path.to_owned(), size)
            }
        };
        Ok(Self { what, required })
    }

    /// Whether it is so: `mounted` says whether something is mounted at a path, `size` how large the file system around it is.
    pub fn holds<E>(
        &self,
        mounted: impl FnOnce(&str) -> bool,
        size: impl FnOnce(&str) -> Result<u64, E>,
    ) -> Result<bool, E> {
        match &self.what {
            What::Mounted(path) => Ok(mounted(path)),
            What::Size(path, least) => Ok(size(path)? >= least.0),
        }
    }
}

/// What must be so, as a sentence's end.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Mounted(path) => write!(f, "something is mounted on {path}"),
            What::Size(path, least) => write!(f, "the file system of {path} has {least}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mounted(path: &str, required: bool) -> Result<Condition, ConditionError> {
        Ok(Condition { what: What::Mounted(path.into()), required })
    }

    fn size(path: &str, bytes: u64, required: bool) -> Result<Condition, ConditionError> {
        Ok(Condition { what: What::Size(path.into(), Bytes(bytes)), required })
    }

    #[test]
    fn linuxkits_conditions_are_understood() {
        for (text, wanted) in [
            ("part:/var/x", mounted("/var/x", false)),
            ("part:/var/x:true", mounted("/var/x", true)),
            ("part:/var/x:false", mounted("/var/x", false)),
            ("partsize:/var/x:100G", size("/var/x", 100 << 30, false)),
            ("partsize:/var/x:5M:true", size("/var/x", 5 << 20, true)),
        ] {
            assert_eq!(Condition::parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in ["", "part", "size:/x:1G", "partsize:/x", "part:/x:maybe", "part:/x:true:true"] {
            assert_eq!(Condition::parse(text), Err(ConditionError::Unknown(text.into())), "{text}");
        }
        assert_eq!(Condition::parse("part:x"), Err(ConditionError::Relative("part:x".into())));
        assert!(matches!(Condition::parse("partsize:/x:much"), Err(ConditionError::Size(..))));
    }

    #[test]
    fn a_file_system_of_just_the_size_is_large_enough() {
        let condition = Condition::parse("partsize:/x:1K").unwrap();
        for (bytes, wanted) in [(1023, false), (1024, true)] {
            assert_eq!(condition.holds(|_| true, |_| Ok::<_, ()>(bytes)), Ok(wanted));
        }
        let condition = Condition::parse("part:/x").unwrap();
        assert_eq!(condition.holds(|path| path == "/x", |_| Err(())), Ok(true));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(part|partsize|x)?(:[/a-z0-9GM]{0,5}){0,5}") {
            std::hint::black_box(Condition::parse(&text)).ok();
        }
    }
}
