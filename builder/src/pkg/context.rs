//! The build context: what a Dockerfile can `COPY` from.

use std::fs;
use std::path::Path;

use super::PkgError;

/// Deeper directories than this are a link loop or a mistake.
const MAX_DEPTH: usize = 64;

/// Copies a file or a directory tree; links stay links, `.git` and `target` are left out.
///
/// # Errors
/// When something can't be read or written, or is neither file, directory nor link.
pub fn copy(from: &Path, to: &Path) -> Result<(), PkgError> {
    copy_at(from, to, 0)
}

fn copy_at(from: &Path, to: &Path, depth: usize) -> Result<(), PkgError> {
    let refuse = |message: &str| PkgError::Manifest { file: from.into(), message: message.into() };
    if depth > MAX_DEPTH {
        return Err(refuse("is nested too deeply for a build context"));
    }
    let kind = fs::symlink_metadata(from).map_err(PkgError::io("reading", from))?.file_type();
    if kind.is_dir() {
        fs::create_dir_all(to).map_err(PkgError::io("making", to))?;
        for entry in fs::read_dir(from).map_err(PkgError::io("reading", from))? {
            let name = entry.map_err(PkgError::io("reading", from))?.file_name();
            if name != ".git" && name != "target" {
                copy_at(&from.join(&name), &to.join(&name), depth + 1)?;
            }
        }
        Ok(())
    } else if kind.is_symlink() {
        let target = fs::read_link(from).map_err(PkgError::io("reading", from))?;
        std::os::unix::fs::symlink(target, to).map_err(PkgError::io("making", to))
    } else if kind.is_file() {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(PkgError::io("making", parent))?;
        }
        fs::copy(from, to).map(|_| ()).map_err(PkgError::io("copying", from))
    } else {
        Err(refuse("is neither a file, a directory nor a link, and can't go into a build context"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_links_and_modes_are_kept_and_git_is_left_out() {
        use std::os::unix::fs::PermissionsExt;
        let from = tempfile::tempdir().unwrap();
        fs::create_dir_all(from.path().join("d/.git")).unwrap();
        fs::write(from.path().join("d/f"), "x").unwrap();
        fs::set_permissions(from.path().join("d/f"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("nowhere", from.path().join("l")).unwrap();
        let to = tempfile::tempdir().unwrap();
        copy(from.path(), &to.path().join("c")).unwrap();
        let copied = to.path().join("c");
        assert_eq!(fs::metadata(copied.join("d/f")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_link(copied.join("l")).unwrap(), Path::new("nowhere"));
        assert!(!copied.join("d/.git").exists());
    }
}
