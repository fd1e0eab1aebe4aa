//! Reads the files, writes the parameters.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use thiserror::Error;

use crate::key::Key;
use crate::settings::{Setting, parse};
use crate::tree::Tree;

/// Largest file of settings, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Why nothing at all was done.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The directory of settings.
    #[error("cannot read the settings in {}: {cause}", .directory.display())]
    Config {
        /// Which.
        directory: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The directory of parameters.
    #[error("cannot open the parameters in {}: {}", .directory.display(), .cause.desc())]
    Parameters {
        /// Which.
        directory: PathBuf,
        /// Why.
        cause: Errno,
    },
    /// There are files, and each failed.
    #[error("none of the {files} files in {} could be read", .directory.display())]
    Unreadable {
        /// Where.
        directory: PathBuf,
        /// How many.
        files: usize,
    },
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Parameters written.
    pub set: usize,
    /// Warnings given.
    pub warnings: usize,
    /// Files that were there.
    pub files: usize,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parameters set from {} files, {} warnings", self.set, self.files, self.warnings)
    }
}

/// Applies all settings in `config` to those in `parameters`, which are a `tree`; `warn` hears of each that fails.
///
/// # Errors
/// [`ApplyError`] when there is nothing to read or nowhere to write.
pub fn apply(
    tree: &Tree,
    config: &Path,
    parameters: &Path,
    warn: &mut dyn FnMut(&dyn fmt::Display),
) -> Result<Done, ApplyError> {
    let files = files(config).map_err(|cause| ApplyError::Config { directory: config.to_owned(), cause })?;
    let root = open(parameters, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|cause| ApplyError::Parameters { directory: parameters.to_owned(), cause })?;
    let mut done = Done { files: files.len(), ..Done::default() };
    let mut read_any = files.is_empty();
    for file in &files {
        match read(file) {
            Ok(text) => {
                read_any = true;
                apply_file((tree, &root), file, &text, &mut done, warn);
            }
            Err(cause) => {
                done.warnings += 1;
                warn(&format_args!("{}: cannot read: {cause}", file.display()));
            }
        }
    }
    if read_any {
        Ok(done)
    } else {
        Err(ApplyError::Unreadable { directory: config.to_owned(), files: files.len() })
    }
}

fn apply_file(
    (tree, root): (&Tree, &OwnedFd),
    file: &Path,
    text: &str,
    done: &mut Done,
    warn: &mut dyn FnMut(&dyn fmt::Display),
) {
    let file = file.display();
    for line in parse(tree, text) {
        let Setting { line, key, value, optional } = match line {
            Ok(setting) => setting,
            Err(mistake) => {
                done.warnings += 1;
                warn(&format_args!("{file}:{}: {}", mistake.line, mistake.why));
                continue;
            }
        };
        match write(tree, root, &key, &value) {
            Ok(()) => done.set += 1,
            Err(_) if optional => {}
            Err(cause) => {
                done.warnings += 1;
                warn(&format_args!("{file}:{line}: cannot set {key} to {value:?}: {}", explain(cause)));
            }
        }
    }
}

/// The directory's files in the order of their names, without hidden ones and directories.
fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && !entry.path().is_dir() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> std::io::Result<String> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    if file.take(MAX_FILE + 1).read_to_string(&mut text)? as u64 > MAX_FILE {
        return Err(std::io::Error::other(format!("larger than {MAX_FILE} bytes")));
    }
    Ok(text)
}

/// Writes a value in one write(2), as the kernel wants it, to a file that is there and below `root`.
fn write(tree: &Tree, root: &OwnedFd, key: &Key, value: &str) -> Result<(), Errno> {
    let links = if tree.links { ResolveFlag::empty() } else { ResolveFlag::RESOLVE_NO_SYMLINKS };
    let how = OpenHow::new()
        .flags(OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .resolve(ResolveFlag::RESOLVE_BENEATH | links);
    let mut file = File::from(openat2(root, key.path(), how)?);
    let text = format!("{value}\n");
    match file.write(text.as_bytes()) {
        Ok(written) if written == text.len() => Ok(()),
        Ok(_) => Err(Errno::EMSGSIZE),
        Err(error) => Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
    }
}

fn explain(cause: Errno) -> &'static str {
    match cause {
        Errno::ENOENT => "this kernel has no such parameter",
        Errno::EISDIR => "it is a directory of parameters",
        Errno::EXDEV => "a link in it leads out of the directory of parameters",
        Errno::EACCES | Errno::EPERM => "not allowed: it is read-only, or a capability is missing",
        Errno::EROFS => "the parameters are mounted read-only",
        Errno::EINVAL => "the kernel refuses the value",
        Errno::EMSGSIZE => "the kernel took a part of the value only",
        other => other.desc(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{SYSCTL, SYSFS};
    use std::fs;
    use tempfile::TempDir;

    struct Try {
        root: TempDir,
        warnings: Vec<String>,
    }

    impl Try {
        /// Parameters `kernel/a`, `kernel/b`, `net/eth0.100/x`, all empty.
        fn new() -> Self {
            let root = TempDir::new().unwrap();
            for parameter in ["kernel/a", "kernel/b", "net/eth0.100/x"] {
                let path = root.path().join("sys").join(parameter);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            fs::create_dir(root.path().join("conf")).unwrap();
            Self { root, warnings: Vec::new() }
        }

        fn config(&self, name: &str, text: impl AsRef<[u8]>) {
            fs::write(self.root.path().join("conf").join(name), text).unwrap();
        }

        fn apply(&mut self) -> Result<Done, ApplyError> {
            self.apply_to(&SYSCTL)
        }

        fn apply_to(&mut self, tree: &Tree) -> Result<Done, ApplyError> {
            let (config, sysctl) = (self.root.path().join("conf"), self.root.path().join("sys"));
            let prefix = format!("{}/", config.display());
            let warnings = &mut self.warnings;
            apply(tree, &config, &sysctl, &mut |message| {
                warnings.push(message.to_string().replace(&prefix, ""))
            })
        }

        fn value(&self, parameter: &str) -> String {
            fs::read_to_string(self.root.path().join("sys").join(parameter)).unwrap()
        }
    }

    #[test]
    fn files_apply_in_the_order_of_their_names_and_the_last_setting_wins() {
        let mut it = Try::new();
        it.config("20-second", "kernel.a = later\n");
        it.config("10-first.conf", "kernel.a = early\nkernel/b = 1 2\nnet.eth0/100.x = y\n");
        it.config(".hidden", "kernel.b = hidden\n");
        fs::create_dir(it.root.path().join("conf/directory")).unwrap();
        assert_eq!(it.apply().unwrap(), Done { set: 4, warnings: 0, files: 2 });
        assert_eq!((it.value("kernel/a"), it.value("kernel/b")), ("later\n".to_owned(), "1 2\n".to_owned()));
        assert_eq!(it.value("net/eth0.100/x"), "y\n");
    }

    #[test]
    fn a_setting_that_fails_is_a_warning_with_its_place_and_the_others_apply() {
        let mut it = Try::new();
        it.config(
            "a.conf",
            "kernel.none = 1\n\n-kernel.none = 1\nkernel = 1\nnonsense\n../conf/a.conf = x\nkernel.a = 1\n",
        );
        assert_eq!(it.apply().unwrap(), Done { set: 1, warnings: 4, files: 1 });
        assert_eq!(
            it.warnings,
            [
                "a.conf:1: cannot set kernel/none to \"1\": this kernel has no such parameter",
                "a.conf:4: cannot set kernel to \"1\": it is a directory of parameters",
                "a.conf:5: expected KEY = VALUE",
                "a.conf:6: the key must name a file below the directory of parameters",
            ]
        );
        assert_eq!(it.value("kernel/a"), "1\n");
        assert!(!it.root.path().join("sys/kernel/none").exists(), "a parameter was made");
    }

    #[test]
    fn a_link_is_not_followed() {
        let mut it = Try::new();
        let victim = it.root.path().join("victim");
        fs::write(&victim, "v").unwrap();
        std::os::unix::fs::symlink(&victim, it.root.path().join("sys/link")).unwrap();
        it.config("a", "link = x\n");
        assert_eq!(it.apply().unwrap().warnings, 1);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "v");
    }

    #[test]
    fn in_sysfs_a_link_leads_to_what_is_in_sysfs_and_nowhere_else() {
        let mut it = Try::new();
        let sys = it.root.path().join("sys");
        fs::create_dir(sys.join("class")).unwrap();
        std::os::unix::fs::symlink("../net/eth0.100", sys.join("class/eth0.100")).unwrap();
        fs::write(it.root.path().join("victim"), "v").unwrap();
        std::os::unix::fs::symlink("../..", sys.join("class/out")).unwrap();
        it.config("a", "/class/eth0.100/x = 1\nclass/out/victim = 1\n");
        assert_eq!(it.apply_to(&SYSFS).unwrap(), Done { set: 1, warnings: 1, files: 1 });
        assert_eq!(it.value("net/eth0.100/x"), "1\n");
        assert_eq!(fs::read_to_string(it.root.path().join("victim")).unwrap(), "v");
    }

    #[test]
    fn an_unreadable_file_is_a_warning_and_nothing_readable_an_error() {
        let mut it = Try::new();
        it.config("bad", [0xff, 0xfe]);
        assert!(matches!(it.apply(), Err(ApplyError::Unreadable { files: 1, .. })));
        it.config("good", "kernel.a = 1\n");
        it.warnings.clear();
        assert_eq!(it.apply().unwrap(), Done { set: 1, warnings: 1, files: 2 });
        assert!(it.warnings[0].starts_with("bad: cannot read: "), "{:?}", it.warnings);
        it.config("large", "#".repeat(2_000_000));
        it.apply().unwrap();
        assert!(it.warnings.iter().any(|w| w.contains("larger than 1048576 bytes")), "{:?}", it.warnings);
    }

    #[test]
    fn an_empty_directory_is_fine_and_a_missing_one_is_not() {
        let mut it = Try::new();
        assert_eq!(it.apply().unwrap(), Done::default());
        fs::remove_dir(it.root.path().join("conf")).unwrap();
        assert!(matches!(it.apply(), Err(ApplyError::Config { .. })));
        fs::create_dir(it.root.path().join("conf")).unwrap();
        fs::remove_dir_all(it.root.path().join("sys")).unwrap();
        assert!(matches!(it.apply(), Err(ApplyError::Parameters { .. })));
    }
}
