//! The user that slapd runs as.

use std::path::PathBuf;

use crate::paths::Paths;

/// Its name, and that of its group, in Debian and Alpine alike.
pub const NAME: &str = "openldap";

/// A user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Whether this process is root, and can become it.
    pub switch: bool,
}

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The list cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The list of users.
        path: PathBuf,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// It is not in the list.
    #[error("{0}: has no user {NAME}: the image must have one for slapd to run as")]
    Missing(PathBuf),
}

impl Account {
    /// Looks it up in the image's list of users.
    pub fn find(paths: &Paths) -> Result<Self, AccountError> {
        let path = || paths.passwd.clone();
        let text = std::fs::read_to_string(&paths.passwd)
            .map_err(|source| AccountError::Read { path: path(), source })?;
        let (uid, gid) = parse(&text).ok_or_else(|| AccountError::Missing(path()))?;
        Ok(Self { uid, gid, switch: nix::unistd::geteuid().is_root() })
    }
}

/// Finds the user's ids in the text of a passwd(5) file.
fn parse(text: &str) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == NAME).then_some(())?;
        let mut ids = fields.skip(1);
        Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_by_its_exact_name() {
        let text =
            "root:x:0:0::/:/bin/sh\nopenldapx:x:1:2::/:\nopenldap:x:105:106:OpenLDAP:/var/lib:/bin/false\n";
        assert_eq!(parse(text), Some((105, 106)));
        assert_eq!(parse("openldap:x:many:106::/:\n"), None);
        assert_eq!(parse("root:x:0:0::/:\n"), None);
    }
}
