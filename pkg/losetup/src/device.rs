//! Which loop device a file gets.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::kernel;

/// The first open of it loads the module.
const CONTROL: &str = "/dev/loop-control";
/// How often a free device is asked for, while others take them too.
const TRIES: usize = 16;

/// Why a file is not behind a loop device.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The kernel has no loop devices.
    #[error(
        "{CONTROL}: cannot open it: {0}; is /dev of the machine bound here, and has the kernel the module loop?"
    )]
    Control(io::Error),
    /// The node is missing or something else.
    #[error("{node}: is not a loop device: {why}")]
    NotALoop {
        /// The node.
        node: PathBuf,
        /// Why not.
        why: String,
    },
    /// It is used for something else.
    #[error("{node}: has {other} behind it already, not {file}; choose another with --dev")]
    Taken {
        /// The node.
        node: PathBuf,
        /// The file behind it.
        other: String,
        /// The file that should be.
        file: PathBuf,
    },
    /// The kernel refused.
    #[error("{node}: cannot put {file} behind it: {errno}")]
    Attach {
        /// The node.
        node: PathBuf,
        /// The file.
        file: PathBuf,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The file cannot be looked at.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// It is behind the device since now.
    Now,
    /// It was before.
    Before,
}

/// Puts `file`, which was opened as `path`, behind the loop device `node`, which is made if it has a number and is not there.
///
/// # Errors
/// [`AttachError`]; a device with another file behind it is left alone.
pub fn attach_to(node: &Path, file: &File, path: &Path) -> Result<Attached, AttachError> {
    if let (false, Some(number)) = (node.exists(), number(node)) {
        match kernel::add(control()?, number) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(not_a_loop(node, errno)),
        }
    }
    let device = open(node)?;
    match kernel::backing(&device).map_err(|errno| not_a_loop(node, errno))? {
        None => attach(node, &device, file, path, false).map(|()| Attached::Now),
        Some(other) => {
            let ours =
                file.metadata().map_err(|source| AttachError::File { file: path.to_owned(), source })?;
            match (other.device, other.inode) == (ours.dev(), ours.ino()) {
                true => Ok(Attached::Before),
                false => Err(AttachError::Taken {
                    node: node.to_owned(),
                    other: other.name,
                    file: path.to_owned(),
                }),
            }
        }
    }
}

/// Puts `file`, which was opened as `path`, behind a loop device that nobody uses. It is detached when the last user is gone, and
/// the returned open device is the first.
///
/// # Errors
/// [`AttachError`]
pub fn attach_to_free(file: &File, path: &Path) -> Result<(PathBuf, File), AttachError> {
    let control = control()?;
    let mut tries = 0;
    loop {
        tries += 1;
        let number = kernel::free(&control).map_err(|errno| AttachError::Control(errno.into()))?;
        let node = PathBuf::from(format!("/dev/loop{number}"));
        let device = open(&node)?;
        match attach(&node, &device, file, path, true) {
            Ok(()) => return Ok((node, device)),
            // Somebody was faster.
            Err(AttachError::Attach { errno: Errno::EBUSY, .. }) if tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

fn control() -> Result<File, AttachError> {
    OpenOptions::new().read(true).write(true).open(CONTROL).map_err(AttachError::Control)
}

fn open(node: &Path) -> Result<File, AttachError> {
    let not = |why: String| AttachError::NotALoop { node: node.to_owned(), why };
    let meta = node.metadata().map_err(|e| not(e.to_string()))?;
    if !meta.file_type().is_block_device() {
        return Err(not("not a block device".to_owned()));
    }
    OpenOptions::new().read(true).write(true).open(node).map_err(|e| not(e.to_string()))
}

fn attach(node: &Path, device: &File, file: &File, path: &Path, transient: bool) -> Result<(), AttachError> {
    let error = |errno| AttachError::Attach { node: node.to_owned(), file: path.to_owned(), errno };
    kernel::attach(device, file, &path.to_string_lossy(), transient).map_err(error)
}

fn not_a_loop(node: &Path, errno: Errno) -> AttachError {
    AttachError::NotALoop { node: node.to_owned(), why: errno.desc().to_owned() }
}

/// The number in `/dev/loopN`.
fn number(node: &Path) -> Option<i32> {
    let digits = node.to_str()?.strip_prefix("/dev/loop")?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loop_devices_have_a_number() {
        for (node, wanted) in [
            ("/dev/loop0", Some(0)),
            ("/dev/loop127", Some(127)),
            ("/dev/loop", None),
            ("/dev/loop-control", None),
            ("/dev/loop+1", None),
            ("/dev/loop99999999999", None),
            ("/dev/vda", None),
        ] {
            assert_eq!(number(Path::new(node)), wanted, "{node}");
        }
    }

    #[test]
    fn what_is_no_loop_device_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for node in [file.path(), Path::new("/nowhere")] {
            let error = attach_to(node, file.as_file(), file.path()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}: is not a loop device: ", node.display())), "{error}");
        }
    }
}
