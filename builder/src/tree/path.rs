//! Paths inside a tree, and names that become such paths.

use crate::image::limits::{MAX_NAME, MAX_PATH};

/// A path inside a tree: relative, `/`-separated, without `.`, `..` or empty parts; the root is the empty path.
pub type TreePath = Vec<u8>;

/// Why a name is no path inside a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It starts at the root of whoever reads it.
    #[error("its name is absolute")]
    Absolute,
    /// It has a `..`.
    #[error("its name leads out with ..")]
    Parent,
    /// Linux could not have it.
    #[error("its name has a NUL, a part longer than {MAX_NAME} bytes, or more than {MAX_PATH} bytes")]
    Impossible,
}

/// The path that a relative name means; `./a//b/` is `a/b`.
///
/// # Errors
/// When the name is absolute (other than `/`, the root), has a `..`, or is too long for Linux.
pub fn clean(name: &[u8]) -> Result<TreePath, PathError> {
    if name.first() == Some(&b'/') && name.iter().any(|&byte| byte != b'/') {
        return Err(PathError::Absolute);
    }
    if name.len() > MAX_PATH || name.contains(&0) {
        return Err(PathError::Impossible);
    }
    let mut path = Vec::with_capacity(name.len());
    for part in parts(name) {
        match part {
            b".." => return Err(PathError::Parent),
            part if part.len() > MAX_NAME => return Err(PathError::Impossible),
            part => push(&mut path, part),
        }
    }
    Ok(path)
}

/// The parts of a path that say something.
pub(super) fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}

/// Appends one part.
pub(super) fn push(path: &mut TreePath, part: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(part);
}

/// Drops the last part; the root stays the root.
pub(super) fn pop(path: &mut TreePath) {
    let len = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    path.truncate(len);
}

/// Directory and last part.
#[must_use]
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// One path below another; either may be the root.
#[must_use]
pub fn join(base: &[u8], below: &[u8]) -> TreePath {
    let mut path = base.to_vec();
    if !below.is_empty() {
        push(&mut path, below);
    }
    path
}

/// For messages: `/etc/passwd`.
#[must_use]
pub fn display(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_or_are_refused() {
        for (name, path) in [
            ("", Ok("")),
            ("/", Ok("")),
            ("./", Ok("")),
            ("a", Ok("a")),
            ("./a//b/", Ok("a/b")),
            ("a/./b", Ok("a/b")),
            ("...", Ok("...")),
            ("/etc", Err(PathError::Absolute)),
            ("//etc", Err(PathError::Absolute)),
            ("..", Err(PathError::Parent)),
            ("a/../b", Err(PathError::Parent)),
            ("a/..", Err(PathError::Parent)),
            ("a\0b", Err(PathError::Impossible)),
        ] {
            assert_eq!(clean(name.as_bytes()), path.map(|path| path.as_bytes().to_vec()), "{name:?}");
        }
        assert_eq!(clean(&[b'a'; 256]), Err(PathError::Impossible));
        assert_eq!(clean(&b"a/".repeat(2048)), Err(PathError::Impossible));
    }
}
