//! What git knows about a package's sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::PkgError;

/// The git work tree around a directory.
#[derive(Debug, Clone)]
pub struct WorkTree {
    root: PathBuf,
}

impl WorkTree {
    /// The work tree that holds `dir`; `None` when there is none, or no commit in it.
    ///
    /// # Errors
    /// When git is not installed.
    pub fn around(dir: &Path) -> Result<Option<Self>, PkgError> {
        let Some(root) = try_git(dir, &["rev-parse", "--show-toplevel"])? else { return Ok(None) };
        if try_git(dir, &["rev-parse", "--verify", "-q", "HEAD"])?.is_none() {
            return Ok(None);
        }
        Ok(Some(Self { root: PathBuf::from(text(&root)) }))
    }

    /// The hash that git gave `path` in `commit`: of a tree, or of a file. `None` when the commit doesn't have it.
    ///
    /// # Errors
    /// When git fails, for example because there is no such commit.
    pub fn object(&self, commit: &str, path: &Path) -> Result<Option<String>, PkgError> {
        let relative = self.relative(path)?;
        if relative.as_os_str().is_empty() {
            return Ok(Some(text(&git(&self.root, &["rev-parse", &format!("{commit}^{{tree}}")])?)));
        }
        let spec = relative.to_string_lossy();
        let listing = text(&git(&self.root, &["ls-tree", "--full-tree", commit, "--", &spec])?);
        Ok(listing.split_whitespace().nth(2).map(String::from))
    }

    /// The text of the file `path` in `commit`; `None` when the commit doesn't have it.
    ///
    /// # Errors
    /// When git fails.
    pub fn text(&self, commit: &str, path: &Path) -> Result<Option<String>, PkgError> {
        let Some(object) = self.object(commit, path)? else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(&git(&self.root, &["cat-file", "blob", &object])?).into_owned()))
    }

    /// What distinguishes `path` from HEAD: `None` when nothing does, else a hash of all its files' contents.
    ///
    /// # Errors
    /// When git fails or a file can't be read.
    pub fn dirt(&self, path: &Path) -> Result<Option<String>, PkgError> {
        let relative = self.relative(path)?;
        let spec = if relative.as_os_str().is_empty() { ".".into() } else { relative.to_string_lossy() };
        let changed = try_git(&self.root, &["diff-index", "--quiet", "HEAD", "--", &spec])?.is_none()
            && self.differs(&spec)?;
        let tracked = git(&self.root, &["ls-files", "-z", "--", &spec])?;
        let untracked = git(&self.root, &["ls-files", "-z", "--others", "--exclude-standard", "--", &spec])?;
        if !changed && untracked.is_empty() {
            return Ok(None);
        }
        let mut hash = Sha256::new();
        for name in tracked.split(|b| *b == 0).chain(untracked.split(|b| *b == 0)).filter(|n| !n.is_empty()) {
            let file = self.root.join(String::from_utf8_lossy(name).as_ref());
            // A file that was deleted, and links, count for nothing, as in LinuxKit.
            if std::fs::symlink_metadata(&file).is_ok_and(|m| m.is_file()) {
                hash.update(std::fs::read(&file).map_err(PkgError::io("reading", &file))?);
            }
        }
        Ok(Some(hex(&hash.finalize())))
    }

    /// `diff-index` also reports files whose time stamp alone changed; this looks at the content.
    fn differs(&self, spec: &str) -> Result<bool, PkgError> {
        Ok(!git(&self.root, &["diff", "--no-ext-diff", "--name-only", "HEAD", "--", spec])?.is_empty())
    }

    fn relative(&self, path: &Path) -> Result<PathBuf, PkgError> {
        let full = path.canonicalize().map_err(PkgError::io("opening", path))?;
        let root = self.root.canonicalize().map_err(PkgError::io("opening", &self.root))?;
        full.strip_prefix(&root).map(Path::to_path_buf).map_err(|_| PkgError::Manifest {
            file: path.into(),
            message: format!("is outside the git work tree {}", root.display()),
        })
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, b| {
        // Writing to a String can't fail.
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_string()
}

fn git(dir: &Path, args: &[&str]) -> Result<Vec<u8>, PkgError> {
    let out = run(dir, args)?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    Err(PkgError::Command {
        doing: format!("asking git about {}", dir.display()),
        command: format!("git {}", args.join(" ")),
        outcome: out.status.to_string(),
        output: text(&out.stderr),
    })
}

/// `None` when git answers with a failure, which is an answer here.
fn try_git(dir: &Path, args: &[&str]) -> Result<Option<Vec<u8>>, PkgError> {
    let out = run(dir, args)?;
    Ok(out.status.success().then_some(out.stdout))
}

fn run(dir: &Path, args: &[&str]) -> Result<std::process::Output, PkgError> {
    Command::new("git").arg("-C").arg(dir).args(args).output().map_err(|_| PkgError::Missing {
        doing: format!("hashing {}", dir.display()),
        program: "git".into(),
        remedy: "install the package git".into(),
    })
}
