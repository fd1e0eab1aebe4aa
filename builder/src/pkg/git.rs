//! What git knows about a package's sources.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::PkgError;
use crate::utc::rfc3339;

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

    /// Whether `path` differs from HEAD: in a file that git tracks, or by one that it neither tracks nor ignores.
    ///
    /// # Errors
    /// When git fails.
    pub fn is_changed(&self, path: &Path) -> Result<bool, PkgError> {
        let spec = self.spec(path)?;
        let changed = try_git(&self.root, &["diff-index", "--quiet", "HEAD", "--", &spec])?.is_none()
            && self.differs(&spec)?;
        Ok(changed || !self.files(&["--others", "--exclude-standard"], &spec)?.is_empty())
    }

    /// SHA-256 over the contents of all files in `path`: of those that git tracks, then of the others that it does not
    /// ignore. Their names do not count.
    ///
    /// # Errors
    /// When git fails or a file can't be read.
    pub fn contents(&self, path: &Path) -> Result<String, PkgError> {
        let spec = self.spec(path)?;
        let mut names = self.files(&[], &spec)?;
        names.extend(self.files(&["--others", "--exclude-standard"], &spec)?);
        let mut hash = Sha256::new();
        for name in names {
            let file = self.root.join(OsStr::from_bytes(&name));
            // A file that was deleted, and links, count for nothing, as in LinuxKit.
            if std::fs::symlink_metadata(&file).is_ok_and(|m| m.is_file()) {
                hash.update(std::fs::read(&file).map_err(PkgError::io("reading", &file))?);
            }
        }
        Ok(hex(&hash.finalize()))
    }

    /// The last commit up to `commit` that changed one of these paths; `None` where there is none.
    ///
    /// # Errors
    /// When git fails.
    pub fn last_change(&self, commit: &str, paths: &[&Path]) -> Result<Option<String>, PkgError> {
        let specs: Vec<String> = paths.iter().map(|path| self.spec(path)).collect::<Result<_, _>>()?;
        let mut args = vec!["rev-list", "-1", commit, "--"];
        args.extend(specs.iter().map(String::as_str));
        let found = text(&git(&self.root, &args)?);
        Ok(Some(found).filter(|found| !found.is_empty()))
    }

    /// The tags of a commit, sorted by name.
    ///
    /// # Errors
    /// When git fails.
    pub fn tags(&self, commit: &str) -> Result<Vec<String>, PkgError> {
        Ok(text(&git(&self.root, &["tag", "--points-at", commit])?).lines().map(String::from).collect())
    }

    /// The version of a commit as Go's modules have it: its tag, or a pseudo-version (Go Modules Reference, "Versions").
    ///
    /// # Errors
    /// When git fails.
    pub fn go_version(&self, commit: &str) -> Result<String, PkgError> {
        let describe = ["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*.[0-9]*.[0-9]*", commit];
        let last = try_git(&self.root, &describe)?.map(|tag| text(&tag));
        if let Some(tag) = last.as_ref().filter(|tag| !tag.is_empty())
            && self.tags(commit)?.contains(tag)
        {
            return Ok(tag.clone());
        }
        let show = ["log", "-1", "--abbrev=12", "--format=%ct %h", commit];
        let line = text(&git(&self.root, &show)?);
        let (seconds, short) = line.split_once(' ').unwrap_or_default();
        let time = rfc3339(seconds.parse().unwrap_or_default()).replace(['-', ':', 'T', 'Z'], "");
        Ok(format!("{}-{time}-{short}", last.as_deref().unwrap_or("v0.0.0")))
    }

    /// `diff-index` also reports files whose time stamp alone changed; this looks at the content.
    fn differs(&self, spec: &str) -> Result<bool, PkgError> {
        Ok(!git(&self.root, &["diff", "--no-ext-diff", "--name-only", "HEAD", "--", spec])?.is_empty())
    }

    /// The names of files in `spec` that `git ls-files` lists.
    fn files(&self, which: &[&str], spec: &str) -> Result<Vec<Vec<u8>>, PkgError> {
        let args = [&["ls-files", "-z"], which, &["--", spec]].concat();
        let listing = git(&self.root, &args)?;
        Ok(listing.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
    }

    /// The path as git's commands take it.
    fn spec(&self, path: &Path) -> Result<String, PkgError> {
        let relative = self.relative(path)?;
        // Characters of patterns mean themselves.
        match relative.as_os_str().is_empty() {
            true => Ok(".".into()),
            false => Ok(format!(":(literal){}", relative.to_string_lossy())),
        }
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
